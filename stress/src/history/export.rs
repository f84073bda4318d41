//! A history as text that other checkers read.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Event, EventKind, Operation};

impl EventKind {
    fn name(self) -> &'static str {
        match self {
            EventKind::Invoke => "invoke",
            EventKind::Ok => "ok",
            EventKind::Fail => "fail",
            EventKind::Info => "info",
        }
    }
}

/// Writes an event a line as JSON: `{"index":0,"type":"invoke","process":1,"f":"txn","value":[["append",7,1],["r",7,null]]}`.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(events: &[Event], out: &mut impl Write) -> io::Result<()> {
    for (index, event) in events.iter().enumerate() {
        let operations = event.operations.iter().map(|operation| match operation {
            Operation::Append { list, element } => json!(["append", list, element]),
            Operation::ReadList { list, seen } => json!(["r", list, seen]),
            Operation::Write { register, value } => json!(["w", register, value]),
            Operation::Read { register, seen } => json!(["r", register, seen]),
        });
        let value: Vec<Value> = operations.collect();
        let (kind, process) = (event.kind.name(), event.process);
        let line = json!({"index": index, "type": kind, "process": process, "f": "txn", "value": value});
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Writes an event a line as EDN, in the shape that Elle's checkers of list-append and rw-register read.
///
/// # Errors
///
/// Those of `out`.
pub fn write_edn(events: &[Event], out: &mut impl Write) -> io::Result<()> {
    for (index, event) in events.iter().enumerate() {
        let operations = event.operations.iter().map(|operation| match operation {
            Operation::Append { list, element } => format!("[:append {list} {element}]"),
            Operation::ReadList { list, seen: Some(seen) } => format!("[:r {list} [{}]]", words(seen)),
            Operation::Write { register, value } => format!("[:w {register} {value}]"),
            Operation::Read { register, seen: Some(seen) } => format!("[:r {register} {seen}]"),
            Operation::ReadList { list: read, seen: None }
            | Operation::Read { register: read, seen: None } => {
                format!("[:r {read} nil]")
            }
        });
        let value: Vec<String> = operations.collect();
        let (kind, process, value) = (event.kind.name(), event.process, value.join(" "));
        writeln!(
            out,
            "{{:index {index} :time {} :type :{kind} :process {process} :f :txn :value [{value}]}}",
            event.at
        )?;
    }
    Ok(())
}

fn words(elements: &[u64]) -> String {
    elements.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}
