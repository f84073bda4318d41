//! Transactions that read and write registers.

use std::collections::BTreeMap;

use super::{Event, EventKind, Operation, Outcome, Recorded};

/// What clients did to registers. A client has one transaction at a time.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    transactions: Vec<Transaction>,
    /// The transaction that each client has, if it has one.
    open: BTreeMap<u32, usize>,
    /// How many transactions of each client had an unknown outcome. The client goes on as another process.
    lost: BTreeMap<u32, u64>,
    now: u64,
}

/// What a transaction may do.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads: what it has read by then is known, whether or not it comes to its end.
    Read,
    /// It reads and writes: what it has read counts if it commits.
    Write,
}

#[derive(Clone, Debug)]
struct Transaction {
    process: u64,
    access: Access,
    reads: Vec<(u64, u64)>,
    writes: Vec<(u64, u64)>,
    begun: u64,
    ended: Option<(u64, EventKind)>,
}

impl Registers {
    /// A transaction of `client` begins. One that it still has is taken back.
    pub fn begin(&mut self, client: u32, access: Access) {
        self.end(client, Outcome::Aborted);
        let process = u64::from(client) | self.lost.get(&client).copied().unwrap_or(0) << 32;
        let begun = self.tick();
        self.open.insert(client, self.transactions.len());
        self.transactions.push(Transaction {
            process,
            access,
            reads: Vec::new(),
            writes: Vec::new(),
            begun,
            ended: None,
        });
    }

    /// A transaction that has only read from now on writes.
    pub fn upgrade(&mut self, client: u32) {
        if let Some(transaction) = self.of(client) {
            transaction.access = Access::Write;
        }
    }

    /// It has read `value`. Reads of what it has written itself are not told.
    pub fn read(&mut self, client: u32, register: u64, value: u64) {
        if let Some(transaction) = self.of(client)
            && !transaction.reads.contains(&(register, value))
        {
            transaction.reads.push((register, value));
        }
    }

    /// From now on it may be seen to have written `value`.
    pub fn wrote(&mut self, client: u32, register: u64, value: u64) {
        if let Some(transaction) = self.of(client) {
            transaction.writes.push((register, value));
        }
    }

    /// It has ended. Nothing happens if `client` has none. One that has written nothing is never lost.
    pub fn end(&mut self, client: u32, outcome: Outcome) {
        let Some(index) = self.open.remove(&client) else { return };
        let now = self.tick();
        let transaction = &mut self.transactions[index];
        let kind = match outcome {
            Outcome::Committed => EventKind::Ok,
            Outcome::Unknown if !transaction.writes.is_empty() => EventKind::Info,
            Outcome::Unknown | Outcome::Aborted => EventKind::Fail,
        };
        transaction.ended = Some((now, kind));
        *self.lost.entry(client).or_default() += u64::from(kind == EventKind::Info);
    }

    /// A life has ended: nobody is told how the transactions end that were under way.
    pub fn crashed(&mut self) {
        let clients: Vec<u32> = self.open.keys().copied().collect();
        clients.into_iter().for_each(|client| self.end(client, Outcome::Unknown));
    }

    fn of(&mut self, client: u32) -> Option<&mut Transaction> {
        let index = *self.open.get(&client)?;
        self.transactions.get_mut(index)
    }

    fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

impl Transaction {
    /// Reads come first: what a transaction reads of its own writes is left out.
    fn event(&self, at: u64, kind: EventKind) -> Event {
        let is_known = kind == EventKind::Ok;
        let reads = self.reads.iter();
        let reads =
            reads.map(|&(register, value)| Operation::Read { register, seen: is_known.then_some(value) });
        let writes = self.writes.iter().map(|&(register, value)| Operation::Write { register, value });
        Event { at, process: self.process, kind, operations: reads.chain(writes).collect() }
    }
}

impl Recorded for Registers {
    fn events(&self) -> Vec<Event> {
        let begun = self
            .transactions
            .iter()
            .map(|transaction| transaction.event(transaction.begun, EventKind::Invoke));
        let ended = self.transactions.iter().filter_map(|transaction| {
            // One that a violation has cut short has read what is wrong.
            let cut_short = transaction.access == Access::Read && !transaction.reads.is_empty();
            let ended = transaction.ended.or(cut_short.then_some((self.now + 1, EventKind::Ok)));
            ended.map(|(at, kind)| transaction.event(at, kind))
        });
        let mut events: Vec<Event> = begun.chain(ended).collect();
        events.sort_by_key(|event| event.at);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::super::{write_edn, write_json};
    use super::*;

    fn lines(write: impl Fn(&[Event], &mut Vec<u8>) -> std::io::Result<()>, events: &[Event]) -> Vec<String> {
        let mut text = Vec::new();
        write(events, &mut text).expect("memory has room");
        String::from_utf8(text).expect("text").lines().map(str::to_owned).collect()
    }

    /// Seen red with an outcome that is taken for known, and with a client that keeps its process.
    #[test]
    fn client_of_a_lost_transaction_goes_on_as_another_process() {
        let mut registers = Registers::default();
        registers.begin(3, Access::Write);
        registers.read(3, 7, 1);
        registers.wrote(3, 7, 2);
        registers.crashed();
        registers.begin(3, Access::Write);
        registers.read(3, 7, 2);
        registers.end(3, Outcome::Committed);
        let edn = lines(write_edn, &registers.events());
        assert_eq!(
            edn,
            [
                "{:index 0 :time 1 :type :invoke :process 3 :f :txn :value [[:r 7 nil] [:w 7 2]]}",
                "{:index 1 :time 2 :type :info :process 3 :f :txn :value [[:r 7 nil] [:w 7 2]]}",
                "{:index 2 :time 3 :type :invoke :process 4294967299 :f :txn :value [[:r 7 nil]]}",
                "{:index 3 :time 4 :type :ok :process 4294967299 :f :txn :value [[:r 7 2]]}",
            ]
        );
        let json = lines(write_json, &registers.events());
        assert_eq!(
            json[0],
            r#"{"f":"txn","index":0,"process":3,"type":"invoke","value":[["r",7,null],["w",7,2]]}"#
        );
    }

    /// Seen red with transactions without writes that count as lost.
    #[test]
    fn transaction_that_wrote_nothing_is_not_lost_by_a_crash() {
        let mut registers = Registers::default();
        registers.begin(0, Access::Write);
        registers.read(0, 1, 5);
        registers.crashed();
        registers.begin(0, Access::Write);
        // Begins another without an end.
        registers.begin(0, Access::Write);
        let kinds: Vec<EventKind> = registers.events().iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            [EventKind::Invoke, EventKind::Fail, EventKind::Invoke, EventKind::Fail, EventKind::Invoke]
        );
        assert!(registers.events().iter().all(|event| event.process == 0));
    }

    /// Seen red with a reader that is left open.
    #[test]
    fn reader_that_is_cut_short_has_read_what_it_has_read() {
        let mut registers = Registers::default();
        for (client, access) in [(0, Access::Read), (1, Access::Write), (2, Access::Read)] {
            registers.begin(client, access);
            registers.read(client, 1, 5);
        }
        registers.upgrade(2);
        let events = registers.events();
        let ended: Vec<_> = events.iter().filter(|event| event.kind != EventKind::Invoke).collect();
        assert_eq!(ended.len(), 1);
        assert_eq!((ended[0].process, ended[0].kind), (0, EventKind::Ok));
        assert_eq!(ended[0].operations, [Operation::Read { register: 1, seen: Some(5) }]);
    }
}
