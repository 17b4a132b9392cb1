//! Rise and fall: how many checks in a row change one's mind. Pure.

/// What is held of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may take calls: it has passed a check, and has not failed enough of them since.
    Healthy,
    /// It may take calls, though it has not passed a check yet: its connection protects it.
    Unproven,
    /// It may not.
    Unhealthy,
}

/// The checks of one endpoint, as HAProxy and Envoy count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    rise: u32,
    fall: u32,
    verdict: Verdict,
    /// Checks in a row that speak against the verdict.
    against: u32,
}

impl Tally {
    /// Of an endpoint that was never checked. `rise` and `fall` of 0 count as 1.
    pub fn new(rise: u32, fall: u32) -> Self {
        Self { rise: rise.max(1), fall: fall.max(1), verdict: Verdict::Unproven, against: 0 }
    }

    /// What is held now.
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Counts one check. The new verdict, if it is another one.
    pub fn count(&mut self, passed: bool) -> Option<Verdict> {
        let (needed, other) = match (self.verdict, passed) {
            (Verdict::Unproven, true) => return Some(self.hold(Verdict::Healthy)),
            (Verdict::Healthy | Verdict::Unproven, false) => (self.fall, Verdict::Unhealthy),
            (Verdict::Unhealthy, true) => (self.rise, Verdict::Healthy),
            (Verdict::Healthy, true) | (Verdict::Unhealthy, false) => {
                self.against = 0;
                return None;
            }
        };
        self.against += 1;
        (self.against >= needed).then(|| self.hold(other))
    }

    /// The server itself has said so: no counting. The new verdict, if it is another one.
    pub fn believe(&mut self, verdict: Verdict) -> Option<Verdict> {
        self.against = 0;
        (self.verdict != verdict).then(|| self.hold(verdict))
    }

    fn hold(&mut self, verdict: Verdict) -> Verdict {
        self.against = 0;
        self.verdict = verdict;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_takes_as_many_in_a_row_as_said() {
        let mut tally = Tally::new(2, 3);
        let checks = [false, false, true, false, false, false, true, false, true, true];
        let changes: Vec<_> = checks.into_iter().map(|passed| tally.count(passed)).collect();
        let mut expected = [None; 10];
        expected[2] = Some(Verdict::Healthy);
        expected[5] = Some(Verdict::Unhealthy);
        expected[9] = Some(Verdict::Healthy);
        assert_eq!(changes, expected);
    }

    #[test]
    fn who_never_passed_is_unproven_and_may_still_fail() {
        let mut tally = Tally::new(2, 2);
        assert_eq!((tally.verdict(), tally.count(false)), (Verdict::Unproven, None));
        assert_eq!(tally.verdict(), Verdict::Unproven);
        assert_eq!(tally.count(false), Some(Verdict::Unhealthy));
    }

    #[test]
    fn what_the_server_says_counts_at_once() {
        let mut tally = Tally::new(2, 3);
        assert_eq!(tally.believe(Verdict::Unhealthy), Some(Verdict::Unhealthy));
        assert_eq!(tally.believe(Verdict::Unhealthy), None);
        assert_eq!(tally.believe(Verdict::Healthy), Some(Verdict::Healthy));
    }

    proptest! {
        /// Against the plain definition: the verdict changes where the last `n` checks all speak against it, none of them used before.
        #[test]
        fn a_verdict_changes_exactly_after_a_run(rise in 1_u32..5, fall in 1_u32..5, checks: Vec<bool>) {
            let mut tally = Tally::new(rise, fall);
            let (mut verdict, mut run, mut proven) = (true, 0, false);
            for passed in checks {
                run = if passed == verdict { 0 } else { run + 1 };
                let changes = run == if verdict { fall } else { rise };
                if changes {
                    (verdict, run) = (passed, 0);
                }
                prop_assert_eq!(tally.count(passed).is_some(), changes || (passed && verdict && !proven));
                proven = verdict && (proven || passed);
                prop_assert_eq!(tally.verdict() != Verdict::Unhealthy, verdict);
                prop_assert_eq!(tally.verdict() == Verdict::Healthy, proven);
            }
        }
    }
}
