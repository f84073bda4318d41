//! A history as text that other checkers read.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{History, Operation, Outcome, Transaction};

/// A begin or an end.
struct Event<'a> {
    at: u64,
    transaction: &'a Transaction,
    /// None is the begin.
    outcome: Option<Outcome>,
}

impl Event<'_> {
    fn kind(&self) -> &'static str {
        match self.outcome {
            None => "invoke",
            Some(Outcome::Committed) => "ok",
            Some(Outcome::Aborted) => "fail",
            Some(Outcome::Unknown) => "info",
        }
    }

    /// What reads have seen is known when the transaction has committed.
    fn seen<'b>(&self, seen: &'b Option<Vec<u64>>) -> Option<&'b Vec<u64>> {
        seen.as_ref().filter(|_| self.outcome == Some(Outcome::Committed))
    }
}

impl History {
    /// Writes an event a line as JSON: `{"index":0,"type":"invoke","process":1,"f":"txn","value":[["append",7,1],["r",7,null]]}`.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        for (index, event) in self.events().into_iter().enumerate() {
            let operations = event.transaction.operations.iter().map(|operation| match operation {
                Operation::Append { list, element } => json!(["append", list, element]),
                Operation::Read { list, seen } => json!(["r", list, event.seen(seen)]),
            });
            let value: Vec<Value> = operations.collect();
            let (kind, process) = (event.kind(), event.transaction.process);
            let line = json!({"index": index, "type": kind, "process": process, "f": "txn", "value": value});
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Writes an event a line as EDN, in the shape that Elle's list-append checker reads.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_edn(&self, out: &mut impl Write) -> io::Result<()> {
        for (index, event) in self.events().into_iter().enumerate() {
            let operations = event.transaction.operations.iter().map(|operation| match operation {
                Operation::Append { list, element } => format!("[:append {list} {element}]"),
                Operation::Read { list, seen } => match event.seen(seen) {
                    Some(seen) => format!("[:r {list} [{}]]", words(seen)),
                    None => format!("[:r {list} nil]"),
                },
            });
            let value: Vec<String> = operations.collect();
            let (kind, process, value) = (event.kind(), event.transaction.process, value.join(" "));
            writeln!(
                out,
                "{{:index {index} :time {} :type :{kind} :process {process} :f :txn :value [{value}]}}",
                event.at
            )?;
        }
        Ok(())
    }

    fn events(&self) -> Vec<Event<'_>> {
        let mut events = Vec::new();
        for transaction in &self.transactions {
            events.push(Event { at: transaction.begun, transaction, outcome: None });
            let end =
                transaction.ended.map(|(at, outcome)| Event { at, transaction, outcome: Some(outcome) });
            events.extend(end);
        }
        events.sort_by_key(|event| event.at);
        events
    }
}

fn words(elements: &[u64]) -> String {
    elements.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}
