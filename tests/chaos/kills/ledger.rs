//! Notes the changes that were answered, and compares them with the state after a restart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    time::Duration,
};

use rand::{RngExt as _, rngs::StdRng};
use serde_json::Value;

use crate::{
    process::{json, until},
    receiver::Receiver,
};

/// The number of series of the rule that fire or resolve at a time.
const OPEN_WAVES: usize = 4;
/// The time in which a restarted process shows its state.
const RESTORE: Duration = Duration::from_secs(3);

/// The stage of a raised alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Firing,
    /// The resolution was not answered.
    Resolving,
    Resolved,
    /// The process did not know the alert.
    Lost,
}

#[derive(Debug)]
pub(super) struct Raised {
    stage: Stage,
    is_acknowledged: bool,
}

/// A series of the rule: on until its firing notification, then off until its resolved notification. Each series fires
/// once, because the damping of flapping alerts would hold back its later notifications.
#[derive(Debug)]
pub(super) struct Wave {
    n: usize,
    pub(super) is_on: bool,
    /// The notification of the current state was accepted.
    is_seen: bool,
    /// The number of accepted requests that were read.
    read: usize,
    /// The series was resolved while it was on.
    pub(super) is_resolved_falsely: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Silences by id, with whether they were expired.
    pub(super) silences: BTreeMap<String, bool>,
    pub(super) raised: BTreeMap<String, Raised>,
    names: usize,
    pub(super) acknowledgements: usize,
    pub(super) waves: Vec<Wave>,
    pub(super) lost_silences: BTreeSet<String>,
    pub(super) lost_alerts: BTreeSet<String>,
    pub(super) risen_alerts: BTreeSet<String>,
    pub(super) lost_acknowledgements: BTreeSet<String>,
}

impl Ledger {
    pub(super) fn next_name(&mut self) -> String {
        self.names += 1;
        format!("raised_{:05}", self.names)
    }

    pub(super) fn set(&mut self, name: &str, stage: Stage) {
        if stage == Stage::Lost {
            self.lost_alerts.insert(name.to_owned());
        }
        let known = self.raised.entry(name.to_owned()).or_insert(Raised {
            stage,
            is_acknowledged: false,
        });
        known.stage = stage;
    }

    /// Selects a firing alert, and notes that its resolution has begun.
    pub(super) fn begin_resolving(&mut self) -> Option<String> {
        let firing = self
            .raised
            .iter_mut()
            .filter(|(_, raised)| raised.stage == Stage::Firing);
        let (name, raised) = firing.rev().nth(5)?;
        raised.stage = Stage::Resolving;
        Some(name.clone())
    }

    pub(super) fn to_acknowledge(&self) -> Option<String> {
        let mut candidates = self.raised.iter().rev();
        let found =
            candidates.find(|(_, raised)| raised.stage == Stage::Firing && !raised.is_acknowledged);
        found.map(|(name, _)| name.clone())
    }

    pub(super) fn acknowledged(&mut self, name: &str) {
        if let Some(raised) = self.raised.get_mut(name) {
            raised.is_acknowledged = true;
            self.acknowledgements += 1;
        }
    }

    /// Switches series of the rule off whose firing notification has arrived, and adds series.
    pub(super) fn turn(&mut self, receiver: &Receiver, random: &mut StdRng) {
        self.see(receiver);
        for wave in &mut self.waves {
            if wave.is_on && wave.is_seen && random.random_bool(0.5) {
                (wave.is_on, wave.is_seen) = (false, false);
            }
        }
        let open = self.waves.iter().filter(|wave| !wave.is_done()).count();
        for _ in open..OPEN_WAVES {
            self.waves.push(Wave {
                n: self.waves.len(),
                is_on: true,
                is_seen: false,
                read: receiver.accepted().len(),
                is_resolved_falsely: false,
            });
        }
    }

    pub(super) fn see(&mut self, receiver: &Receiver) {
        self.waves.iter_mut().for_each(|wave| wave.see(receiver));
    }

    /// Returns the values of the series whose last notification is still due, as `n=value`.
    pub(super) fn levels(&self) -> String {
        let open = self.waves.iter().filter(|wave| !wave.is_done());
        let levels: Vec<String> = open
            .map(|wave| format!("{}={}", wave.n, u8::from(wave.is_on)))
            .collect();
        levels.join(",")
    }

    /// Compares the state of a restarted process.
    pub(super) fn check(&mut self, monitor: SocketAddr) {
        let mut lost = <[BTreeSet<String>; 4]>::default();
        until(RESTORE, || {
            lost = self.losses(monitor);
            lost.iter().all(BTreeSet::is_empty)
        });
        let [silences, alerts, risen, acknowledgements] = lost;
        self.lost_silences.extend(silences);
        self.lost_alerts.extend(alerts);
        self.risen_alerts.extend(risen);
        self.lost_acknowledgements.extend(acknowledgements);
    }

    fn losses(&self, monitor: SocketAddr) -> [BTreeSet<String>; 4] {
        let get = |path| json(monitor, "GET", path, None).unwrap_or_default();
        let silences = get("/api/observatory/silences");
        let ends: HashMap<&str, i64> = items(&silences)
            .filter_map(|silence| Some((silence["id"].as_str()?, silence["endsAt"].as_i64()?)))
            .collect();
        let is_lost = |(id, is_expired): &(&String, &bool)| {
            let end = ends.get(id.as_str());
            end.is_none_or(|end| **is_expired == (*end >= 4_000_000_000_000))
        };
        let lost_silences = self.silences.iter().filter(is_lost);

        let active = get("/api/v1/alerts");
        let firing: HashSet<&str> = items(&active["data"]["alerts"])
            .filter_map(|alert| alert["labels"]["alertname"].as_str())
            .collect();
        let names = |is_wrong: &dyn Fn(&str, &Raised) -> bool| {
            let wrong = self
                .raised
                .iter()
                .filter(|(name, raised)| is_wrong(name, raised));
            wrong.map(|(name, _)| name.clone()).collect()
        };
        let groups = get("/api/observatory/alerts");
        let acknowledged: HashSet<String> = items(&groups["groups"])
            .filter(|group| !group["acknowledgement"].is_null())
            .filter_map(|group| Some(group["key"].as_str()?.to_owned()))
            .filter_map(|key| {
                Some(
                    key.split_once("alertname=\"")?
                        .1
                        .split('"')
                        .next()?
                        .to_owned(),
                )
            })
            .collect();
        [
            lost_silences.map(|(id, _)| id.clone()).collect(),
            names(&|name, raised| raised.stage == Stage::Firing && !firing.contains(name)),
            names(&|name, raised| raised.stage == Stage::Resolved && firing.contains(name)),
            names(&|name, raised| {
                raised.stage == Stage::Firing
                    && raised.is_acknowledged
                    && !acknowledged.contains(name)
            }),
        ]
    }

    pub(super) fn is_settled(&self, receiver: &Receiver) -> bool {
        self.waves.iter().all(Wave::is_done) && self.missing(receiver).is_empty()
    }

    /// Returns the notifications of raised alerts that are due and were not accepted.
    pub(super) fn missing(&self, receiver: &Receiver) -> Vec<String> {
        let mut accepted: HashSet<(&str, String, String)> = HashSet::new();
        let requests = receiver.accepted();
        for request in requests.iter() {
            for (name, status, _) in request.alerts() {
                accepted.insert((&request.path, name, status.to_owned()));
            }
        }
        let mut missing = Vec::new();
        for (name, raised) in &self.raised {
            let has =
                |path, status: &str| accepted.contains(&(path, name.clone(), status.to_owned()));
            let due = match raised.stage {
                Stage::Firing => [
                    Some(("/hook", "firing")),
                    (!raised.is_acknowledged).then_some(("/pager", "firing")),
                ],
                // An alert that is resolved before its first notification needs no notification.
                Stage::Resolved => [
                    has("/hook", "firing").then_some(("/hook", "resolved")),
                    has("/pager", "firing").then_some(("/pager", "resolved")),
                ],
                Stage::Resolving | Stage::Lost => [None, None],
            };
            for (path, status) in due.into_iter().flatten() {
                if !has(path, status) {
                    missing.push(format!("{name} {status} at {path}"));
                }
            }
        }
        missing
    }

    /// Prints examples of each loss.
    pub(super) fn explain(&self, receiver: &Receiver) {
        let missing = self.missing(receiver).into_iter().collect();
        for (text, lost) in [
            ("silences", &self.lost_silences),
            ("alerts", &self.lost_alerts),
            ("resolutions", &self.risen_alerts),
            ("acknowledgements", &self.lost_acknowledgements),
            ("notifications", &missing),
        ] {
            if !lost.is_empty() {
                let some: Vec<&String> = lost.iter().take(5).collect();
                println!("kills: lost {text}: {some:?}");
            }
        }
        for wave in self.waves.iter().filter(|wave| !wave.is_done()) {
            println!("kills: {wave:?}");
        }
    }
}

impl Wave {
    /// Reads the requests that were accepted since the last call.
    fn see(&mut self, receiver: &Receiver) {
        let requests = receiver.accepted();
        let own = format!("wave{}", self.n);
        let later = requests.get(self.read..).into_iter().flatten();
        for request in later.filter(|request| request.path == "/hook") {
            for (_, status, _) in request.alerts().filter(|(name, ..)| *name == own) {
                let is_resolved = status == "resolved";
                self.is_seen |= is_resolved != self.is_on;
                self.is_resolved_falsely |= is_resolved && self.is_on;
            }
        }
        self.read = requests.len();
    }

    /// Returns whether the notification of the current state was accepted.
    pub(super) fn is_seen(&self) -> bool {
        self.is_seen
    }

    /// Turns the series off for good.
    pub(super) fn end(&mut self) {
        if self.is_on {
            (self.is_on, self.is_seen) = (false, false);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        !self.is_on && self.is_seen
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
