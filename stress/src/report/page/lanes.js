"use strict";
// One timeline: lanes from left to right in the order of events. Gaps between events have no width: a step has no duration.
(() => {
  const NS = "http://www.w3.org/2000/svg", ROW = 30, TRACK = 24, TOP = 22;
  const tip = document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip", hidden: true }));
  const make = (name, values, parent, text) => {
    const node = document.createElementNS(NS, name);
    for (const key in values) node.setAttribute(key, values[key]);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  };
  const html = (name, values, parent) => parent.appendChild(Object.assign(document.createElement(name), values));

  // Spans of what lasts: an operation of a connection from its first step to its end, an I/O from its submission to its delivery.
  function spans(run) {
    const found = [], open = new Map(), lastIo = new Map();
    run.events.forEach((event, x) => {
      const close = key => { const span = open.get(key); if (span) { span.to = x; open.delete(key); } };
      if (event.kind === "crashed") { for (const span of open.values()) { span.to = x; span.cut = true; } open.clear(); lastIo.clear(); return; }
      if (event.lane === null || event.kind === "calm") return;
      const key = "l" + event.lane;
      if (event.kind === "submitted") {
        const what = event.text.slice(3).replace(/ \([a-z-]+\)/, "").split(":")[0];
        const span = { x, to: run.events.length, lane: event.lane, type: "io", parts: [event], text: event.text.slice(3) };
        found.push(span);
        if (!lastIo.has(what)) lastIo.set(what, []);
        lastIo.get(what).push(span);
        open.set("io" + x, span); span.key = "io" + x;
      } else if (event.kind === "delivered") {
        const what = event.text.slice(3).replace(/ \([a-z-]+\)/, "").split(":")[0];
        const span = (lastIo.get(what) || []).shift();
        if (span) { span.to = x; span.parts.push(event); open.delete(span.key); }
        else found.push({ x, to: x, lane: event.lane, type: "io", parts: [event], text: event.text.slice(3) });
      } else if (event.kind === "remark" || event.fault) {
        found.push({ x, to: x, lane: event.lane, type: "remark", parts: [event], text: event.text });
      } else if (/operation ended$|nothing more to do$/.test(event.text)) {
        const span = open.get(key); if (span) span.parts.push(event);
        close(key);
      } else {
        const deed = event.text.replace(/, waits$/, ""), span = open.get(key);
        if (span && span.text === deed) { span.parts.push(event); return; }
        close(key);
        const next = { x, to: run.events.length, lane: event.lane, type: "span", parts: [event], text: deed };
        found.push(next); open.set(key, next);
      }
    });
    return found;
  }

  function draw(root) {
    const run = JSON.parse(root.querySelector("script").textContent), all = spans(run), count = run.events.length + 1;
    // A lane in which nothing lasts has nothing to show.
    const used = new Set(all.map(span => span.lane));
    const tools = html("div", { className: "tools" }, root), told = html("div", { className: "told soft" }, root);
    const box = html("div", { className: "lanes" }, root), names = html("div", { className: "names" }, box), view = html("div", { className: "view", tabIndex: 0 }, box);
    const hidden = new Set(run.lanes.map((_, lane) => lane).filter(lane => !used.has(lane))); let width = 0, filter = "", faultsOnly = false;
    const button = (text, title, act) => { html("button", { textContent: text, title, type: "button", onclick: act }, tools).setAttribute("aria-label", title); };
    const fit = () => Math.max(.2, (view.clientWidth - 12) / count);
    const zoom = by => { const middle = (view.scrollLeft + view.clientWidth / 2) / width; width = Math.min(160, Math.max(.2, width * by)); paint(); view.scrollLeft = middle * width - view.clientWidth / 2; };
    button("−", "zoom out", () => zoom(1 / 1.5)); button("+", "zoom in", () => zoom(1.5)); button("all", "fit the whole run", () => { width = fit(); paint(); });
    button("end", "go to the violation", () => { width = Math.max(width, 46); paint(); view.scrollLeft = 1e9; });
    html("input", { type: "search", placeholder: "operation, page, file …", oninput: e => { filter = e.target.value.toLowerCase(); paint(); } }, tools).setAttribute("aria-label", "show only what has this text");
    const check = (text, on, act) => { const label = html("label", {}, tools); html("input", { type: "checkbox", checked: on, onchange: e => act(e.target.checked) }, label); label.append(" " + text); };
    check("faults only", false, on => { faultsOnly = on; paint(); });
    if (run.lanes.length <= 24) run.lanes.forEach((name, lane) => used.has(lane) && check(name, true, on => { on ? hidden.delete(lane) : hidden.add(lane); paint(); }));
    html("span", { className: "soft", textContent: run.events.length + " moments, " + run.end + " events" + (run.skipped ? ", the first " + run.skipped + " left out" : "") }, tools);
    const describe = span => span.parts.map(part => "event " + part.at + ": " + part.text + (part.value ? "  [" + part.value + "]" : "")).join("\n");
    const hover = (node, span) => {
      node.addEventListener("mousemove", e => { tip.hidden = false; tip.innerText = describe(span); tip.style.left = Math.max(4, Math.min(e.clientX + 12, innerWidth - tip.offsetWidth - 8)) + "px"; tip.style.top = (e.clientY + tip.offsetHeight + 24 > innerHeight ? e.clientY - tip.offsetHeight - 12 : e.clientY + 16) + "px"; });
      node.addEventListener("mouseleave", () => tip.hidden = true);
      node.addEventListener("click", () => { box.querySelectorAll(".picked").forEach(other => other.classList.remove("picked")); node.classList.add("picked"); told.innerText = describe(span); });
    };
    function paint() {
      const scrolled = view.scrollLeft;
      names.textContent = ""; view.textContent = "";
      const svg = make("svg", {}, view), tops = []; let y = TOP;
      html("div", { style: "height:" + TOP + "px" }, names);
      run.lanes.forEach((name, lane) => {
        if (hidden.has(lane)) return;
        // I/O overlaps: each has the first track that is free.
        const free = []; let tracks = 1;
        for (const span of all) if (span.lane === lane) {
          let track = free.findIndex(end => end < span.x); if (track < 0) track = free.length;
          free[track] = span.to; span.track = track; tracks = Math.max(tracks, track + 1);
        }
        tops[lane] = y; const height = tracks * TRACK + ROW - TRACK;
        html("div", { textContent: name, style: "height:" + height + "px" }, names);
        y += height; make("line", { x1: 0, x2: count * width, y1: y, y2: y, class: "row" }, svg);
      });
      svg.setAttribute("width", Math.max(count * width, 10)); svg.setAttribute("height", y);
      let free = -1e9;
      // The violation's label has its place before all others.
      const label = run.violation && "VIOLATION of " + run.violation.oracle, labelAt = label ? Math.max(2, run.events.length * width - label.length * 7 - 4) : 1e9;
      run.events.forEach((event, x) => {
        if (event.kind !== "crashed" && event.kind !== "calm") return;
        const at = (x + .5) * width, kind = event.kind === "crashed" ? "crash" : "calm";
        const line = make("line", { x1: at, x2: at, y1: TOP - 6, y2: y, class: kind }, svg);
        hover(line, { parts: [event] });
        const place = Math.max(2, Math.min(at + 3, count * width - event.text.length * 7));
        if (place > free && place + event.text.length * 7 < labelAt) { make("text", { x: place, y: 13, class: kind }, svg, event.text); free = place + event.text.length * 7 + 6; }
      });
      for (const span of all) {
        if (tops[span.lane] === undefined) continue;
        const struck = span.parts.some(part => part.fault), whole = span.parts.map(part => part.text).join(" ").toLowerCase();
        const dim = (faultsOnly && !struck) || (filter && !whole.includes(filter)) ? " dim" : "";
        const x = span.x * width + 1, wide = Math.max(2, (Math.min(span.to, run.events.length) - span.x + 1) * width - 2), top = tops[span.lane] + 3 + (span.track || 0) * TRACK;
        const node = make("rect", { x, y: top, width: wide, height: TRACK - 3, class: span.type + (struck ? " struck" : "") + dim }, svg);
        hover(node, span);
        const letters = Math.floor((wide - 6) / 6.7);
        if (letters >= 3) make("text", { x: x + 4, y: top + 14.5, class: dim }, svg, span.text.length > letters ? span.text.slice(0, letters - 1) + "…" : span.text);
        if (struck) make("path", { d: `M${x - 1} ${top - 2}h9l-4.5 7z`, class: "mark" + dim }, svg);
      }
      view.scrollLeft = scrolled;
      if (run.violation) {
        const x = run.events.length * width, node = make("rect", { x, y: 0, width: Math.max(width, 4), height: y, class: "broken" }, svg);
        make("line", { x1: x, x2: x, y1: 0, y2: y, class: "crash" }, svg);
        make("text", { x: labelAt, y: 13, class: "crash" }, svg, label);
        hover(node, { parts: [{ at: run.end, text: label + "\nexpected " + run.violation.expected + "\nseen " + run.violation.seen }] });
      }
    }
    const start = () => { if (!width && view.clientWidth > 0) { width = 14; paint(); width = Math.min(120, Math.max(fit(), 14)); paint(); view.scrollLeft = 1e9; } };
    view.addEventListener("wheel", e => { if (e.ctrlKey) { e.preventDefault(); zoom(e.deltaY < 0 ? 1.2 : 1 / 1.2); } }, { passive: false });
    view.addEventListener("keydown", e => { if (e.key === "+") zoom(1.5); if (e.key === "-") zoom(1 / 1.5); });
    new ResizeObserver(start).observe(view); start();
  }
  document.querySelectorAll(".run").forEach(root => {
    const details = root.closest("details");
    if (details && !details.open) details.addEventListener("toggle", () => draw(root), { once: true }); else draw(root);
  });
})();
