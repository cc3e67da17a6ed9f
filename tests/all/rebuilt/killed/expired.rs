//! Values that are too old are removed, and killed meanwhile.

use super::*;

impl Copies {
    /// Values of old rows are removed, killed again and again, and then not. Gives how often it was killed with a part of its work done.
    pub(super) fn expire(&self, is_rebuilt: bool, with_server: bool, numbers: &mut Numbers) -> u64 {
        self.place(Some("newer"));
        if is_rebuilt {
            self.run(&["materialize", "account", "--rebuild"]);
        }
        let generations = 1 + u64::from(is_rebuilt);
        let old = self.newer.users.values().filter(|time| self.is_too_old(**time)).count() as u64 * generations;
        let removed = || self.count(|stats| stats.removed);
        let server = with_server.then(|| Serving::start_registered(self.root(), &["--allow-replay"])); // so that it removes nothing itself
        let (mut before, mut partly) = (0, 0);
        for kill in 0..KILLS {
            // The first one certainly with a part of its work done.
            let enough = match kill {
                0 => Some(old / 4 + numbers.below(old / 2)),
                _ => (numbers.below(3) > 0).then(|| before + numbers.below(old - before + 1)),
            };
            let watched = self.open("data/online");
            let progress = || {
                let stats = watched.view_stats(Timestamp(self.now)).expect("sizes");
                stats.iter().map(|stats| stats.removed).sum()
            };
            self.kill(&["online", "expire", "account"], numbers, progress, enough);
            drop(watched);
            let now = removed();
            assert!(before <= now && now <= old, "{before} values were removed, then {now} of {old}");
            before = now;
            partly += u64::from(0 < now && now < old);
            self.check_expired();
            if let Some(server) = &server {
                // No late row takes the place of one whose values may be gone.
                let late: Vec<(i64, i64)> = (0..OLD).map(|user| (user, self.time(user) - MINUTE)).collect();
                let answer = self.push_users(server, "online", &late).expect("an answer");
                assert_eq!(answer["written"], json!(0), "{answer}");
            }
        }
        if let Some(server) = &server {
            server.kill();
        }
        drop(server);
        for left in [old - before, 0] {
            let found = self.json(&["online", "expire", "account"])["removed"].as_u64().expect("a number");
            // A transaction of which nobody was told may be on the disk: it is seen once another one begins.
            assert!(
                found <= left && left <= found + REMOVED_MAX,
                "{found} values were removed of {left} that were left"
            );
            assert_eq!(removed(), old);
            self.check_expired();
        }
        let activity: Vec<(u64, f64)> = (0..ALL_CARDS).map(|card| self.newer.activity(card)).collect();
        assert_eq!(self.activity(), activity, "events have no ttl");
        self.check_readers();
        partly
    }

    /// Each user has the row of the newer store, served if it is within the ttl.
    fn check_expired(&self) {
        let users = self.users();
        assert_eq!(users.len(), self.newer.users.len());
        for (user, time) in &self.newer.users {
            assert_eq!(users[user], (*time, !self.is_too_old(*time)), "user {user}");
        }
    }
}
