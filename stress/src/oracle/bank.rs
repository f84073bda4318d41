//! Accounts between which money moves: no money is made or lost.

use super::Verdict;
use crate::violation::Violation;

/// Money that moves from one account to another.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The account that gives, counted from 0.
    pub from: usize,
    /// The account that gets.
    pub to: usize,
    /// How much.
    pub amount: i64,
}

/// Accounts that begin with the same balance.
///
/// Demands of the store that a transfer is atomic and that all balances are read in one snapshot.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Bank {
    accounts: usize,
    balance: i64,
}

impl Bank {
    /// So many accounts with `balance` each.
    pub fn new(accounts: usize, balance: i64) -> Bank {
        Bank { accounts, balance }
    }

    /// The balances after `transfers`, in any order.
    pub fn after(&self, transfers: impl IntoIterator<Item = Transfer>) -> Vec<i64> {
        let mut balances = vec![self.balance; self.accounts];
        for Transfer { from, to, amount } in transfers {
            balances[from] -= amount;
            balances[to] += amount;
        }
        balances
    }

    /// Whether a snapshot may have these balances, whatever was transferred.
    ///
    /// # Errors
    ///
    /// A violation of "balances": an account is missing, or the sum is another one.
    pub fn look(&self, seen: &[i64]) -> Verdict {
        let right = i128::from(self.balance) * self.accounts as i128;
        if seen.len() == self.accounts && sum(seen) == right {
            return Ok(());
        }
        let expected = format!("{} accounts with {right} in all", self.accounts);
        Err(broken(expected, seen))
    }

    /// Whether a snapshot that has exactly `transfers` has these balances.
    ///
    /// # Errors
    ///
    /// A violation of "balances": one of them is another one.
    pub fn look_after(&self, transfers: impl IntoIterator<Item = Transfer>, seen: &[i64]) -> Verdict {
        let right = self.after(transfers);
        if right == seen {
            return Ok(());
        }
        Err(broken(format!("balances {right:?}, in all {}", sum(&right)), seen))
    }
}

fn broken(expected: String, seen: &[i64]) -> Box<Violation> {
    let seen = format!("balances {seen:?}, in all {}", sum(seen));
    Violation::safety("balances", expected, seen)
}

/// Damaged balances may be as large as they like.
fn sum(balances: &[i64]) -> i128 {
    balances.iter().copied().map(i128::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_that_is_made_or_lost_is_seen_and_money_that_moves_is_not() {
        let bank = Bank::new(3, 100);
        assert!(bank.look(&[90, 110, 100]).is_ok());
        assert!(bank.look(&[90, 100, 100]).is_err());
        assert!(bank.look(&[200, 100]).is_err(), "an account is missing");
        assert!(bank.look(&[i64::MAX, i64::MAX, 302]).is_err(), "wrapped, the sum would be right");
    }

    #[test]
    fn a_snapshot_that_should_have_a_transfer_has_it_whole() {
        let bank = Bank::new(2, 100);
        let transfers = [Transfer { from: 0, to: 1, amount: 30 }, Transfer { from: 1, to: 0, amount: 5 }];
        assert!(bank.look_after(transfers, &[75, 125]).is_ok());
        assert!(bank.look_after(transfers, &[70, 130]).is_err());
    }
}
