//! A copy is written back, and killed meanwhile.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

impl Copies {
    /// A copy restored into a store that has `start`, killed again and again, and then not. Gives how often it was killed with a part of its work done.
    pub(super) fn restore(
        &self,
        name: Option<&str>,
        start: &Contents,
        with_server: bool,
        numbers: &mut Numbers,
    ) -> u64 {
        self.place(name);
        let entries = |name: &str| {
            let stats = self.open(name).view_stats(Timestamp(self.now)).expect("sizes");
            stats.iter().map(|stats| stats.entries).sum::<u64>()
        };
        let from = name.map_or(0, entries);
        let all = start.with(&self.copy);
        let to = from.max(entries("copy"));
        let server = with_server.then(|| Serving::start_registered(self.root(), &[]));
        let ended = AtomicBool::new(false);
        let pushed = Mutex::new(Contents::default());
        let mut partly = 0;
        std::thread::scope(|scope| {
            let _ends = Ends(&ended);
            if let Some(server) = &server {
                scope.spawn(|| self.push_until_killed(server, &pushed, &ended));
            }
            for _ in 0..KILLS {
                let enough = (numbers.below(3) > 0).then(|| from + numbers.below(to - from + 1));
                self.kill(&["online", "restore", "copy"], numbers, || self.count(|stats| stats.entries), enough);
                partly += u64::from(self.check_half(start, &all, &pushed));
                if let Some(server) = &server {
                    self.correct(server, &all, &pushed, numbers);
                }
            }
            if let Some(server) = &server {
                let last = killing::start(self.root(), &["online", "restore", "copy"]);
                std::thread::sleep(Duration::from_millis(numbers.below(300)));
                server.kill();
                killing::kill(last);
            }
        });
        drop(server);
        let all = all.with(&pushed.lock().expect("nobody panicked"));
        let mut expected = None;
        for again in [false, true] {
            let report = self.json(&["online", "restore", "copy"]);
            let sum = |name: &str| {
                report["views"]
                    .as_array()
                    .expect("views")
                    .iter()
                    .map(|view| view[name].as_u64().expect("a number"))
                    .sum::<u64>()
            };
            assert_eq!(sum("left_out"), 0, "{report}");
            assert!(!again || (sum("written"), sum("logged")) == (0, 0), "{report}");
            let users = self.users();
            // What was pushed and not acknowledged may be there.
            for (user, time) in &all.users {
                let found = users.get(user).expect("a user").0;
                assert!(
                    found == *time || (with_server && found > *time && *user >= OLD && *user < OLD + 4),
                    "user {user} has {found} instead of {time}"
                );
            }
            let activity = self.activity();
            let by_hand: Vec<(u64, f64)> = (0..ALL_CARDS).map(|card| all.activity(card)).collect();
            assert_eq!(activity, by_hand);
            assert_eq!(self.rolled(), self.logged[0]);
            let first = expected.get_or_insert((users.clone(), activity.clone()));
            assert_eq!(first, &(users, activity), "the second one changed something");
        }
        self.run(&["log", "flush"]);
        assert_eq!(
            self.rolled(),
            self.logged[usize::from(name == Some("newer"))],
            "rows that the copy and the store have"
        );
        self.check_readers();
        partly
    }

    /// After a kill: all rows of the copy, or none of them; each card as it was, or with all of the copy. Gives whether a part of the copy is there.
    fn check_half(&self, start: &Contents, all: &Contents, pushed: &Mutex<Contents>) -> bool {
        let before = start.with(&pushed.lock().expect("nobody panicked"));
        let users = self.users();
        let after = pushed.lock().expect("nobody panicked").clone();
        let (mut there, mut missing) = (0, 0);
        for (user, time) in &before.users {
            assert!(users.get(user).is_some_and(|(found, _)| found >= time), "user {user} went back from {time}");
        }
        for (user, time) in &all.users {
            // Of those that the copy alone has so.
            if before.users.get(user).max(after.users.get(user)) < Some(time) {
                let found = users.get(user).map(|(found, _)| *found);
                assert!(found == Some(*time) || found == start.users.get(user).copied(), "user {user}: {found:?}");
                if found == Some(*time) { there += 1 } else { missing += 1 }
            }
        }
        assert!(there == 0 || missing == 0, "{there} rows of the copy are there, and {missing} are not");
        let (was, is): (Vec<_>, Vec<_>) =
            (0..ALL_CARDS).map(|card| (start.activity(card).0, all.activity(card).0)).unzip();
        let found = self.activity();
        for card in 0..ALL_CARDS as usize {
            let count = found[card].0;
            assert!(count == was[card] || count == is[card], "card {card}: {count} of {} or {}", was[card], is[card]);
        }
        let is_whole = found.iter().map(|(count, _)| *count).eq(is) && missing == 0;
        self.rolled();
        !is_whole && (there > 0 || self.rolled() > 0)
    }

    /// Pushes newer rows of a few users, until the server is gone.
    fn push_until_killed(&self, server: &Serving, pushed: &Mutex<Contents>, ended: &AtomicBool) {
        for step in 0_i64.. {
            if ended.load(Ordering::Relaxed) {
                return;
            }
            let rows: Vec<(i64, i64)> =
                (OLD..OLD + 4).map(|user| (user, self.time(user) + DAY + step * 1_000)).collect();
            let Some(answer) = self.push_users(server, "online", &rows) else { return };
            assert_eq!(answer["written"], json!(rows.len()), "{answer}");
            let mut pushed = pushed.lock().expect("nobody panicked");
            rows.into_iter().for_each(|(user, time)| pushed.put_user(user, time));
            drop(pushed);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Corrects a payment of each card that is there, as it may be restored in part.
    fn correct(&self, server: &Serving, all: &Contents, pushed: &Mutex<Contents>, numbers: &mut Numbers) {
        let found = self.activity();
        let there = (0..ALL_CARDS).filter(|card| found[*card as usize].0 == all.activity(*card).0);
        let mut pushed = pushed.lock().expect("nobody panicked");
        let step = pushed.payments.len() as i64;
        let corrected = |card| Payment {
            amount: (1_000 + numbers.below(1_000)) as f64,
            known: self.now - 4 * 60 * MINUTE + step,
            ..self.payment(card, 101, 11)
        };
        let payments: Vec<Payment> = there.map(corrected).collect();
        if payments.is_empty() {
            return;
        }
        let answer = self.push_payments(server, "online", &payments).expect("an answer");
        assert_eq!(answer["written"], json!(payments.len()), "{answer}");
        pushed.payments.extend(payments);
    }
}

/// Tells whoever pushes that it is over, also where something panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
