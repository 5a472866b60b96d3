//! Goes on after a restart, or with another configuration.

use std::{collections::HashMap, sync::Arc};

use super::{DispatchOptions, Dispatcher, GroupRecord, Notification, Saved, group::Group};
use crate::{
    alerting::{Alert, Router, Silences, route::to_ms},
    query::Labels,
};

impl Dispatcher {
    /// Goes on from what was written down.
    ///
    /// A firing alert holds good for the restart grace, until its rule says so again or its end is told to everyone
    /// who knows of it. A group whose route is gone stays for that end. A notification that nobody accepted is still
    /// under way: whoever holds the outbox sends it.
    pub(crate) fn restore(
        router: Router,
        options: DispatchOptions,
        saved: Saved,
        now: i64,
    ) -> Self {
        let mut dispatcher = Self::new(router, options);
        let grace = now.saturating_add(to_ms(dispatcher.options.restart_grace));
        for saved in saved.alerts {
            let mut alert = Alert::clone(&saved.alert);
            if !saved.is_over {
                alert.ends_at = alert.ends_at.max(grace);
            }
            dispatcher.alerts.restore(alert, saved.is_over);
        }
        dispatcher.silences = Silences::restore(saved.silences);
        dispatcher.adopt(saved.groups, now);
        dispatcher.resume(&saved.outbox);
        dispatcher
    }

    /// Goes on with another configuration; what is under way stays under way.
    pub fn reconfigure(&mut self, router: Router, now: i64) {
        let records: Vec<GroupRecord> = self.groups.values().map(Group::record).collect();
        let mut in_flight: HashMap<Arc<str>, _> = self
            .groups
            .drain()
            .map(|(id, group)| (id, group.in_flight))
            .collect();
        self.ids.clear();
        self.router = router;
        self.adopt(records, now);
        for (id, group) in &mut self.groups {
            if let Some(in_flight) = in_flight.remove(id) {
                group.in_flight = in_flight;
            }
        }
        self.dirty.groups.extend(in_flight.into_keys());
        self.dirty.groups.extend(self.groups.keys().cloned());
    }

    /// Takes groups over, and puts every known alert where it belongs now.
    fn adopt(&mut self, records: Vec<GroupRecord>, now: i64) {
        for record in records {
            let (group, at) = self.group_of(&record);
            if let Some(at) = at {
                let key = (at, group.labels.clone());
                self.ids.insert(key, Arc::clone(&group.id));
            }
            self.groups.insert(Arc::clone(&group.id), group);
        }
        let known: Vec<u64> = self
            .alerts
            .iter()
            .map(|(fingerprint, _)| fingerprint)
            .collect();
        for fingerprint in known {
            self.join_groups(fingerprint, false, now);
        }
    }

    fn group_of(&self, record: &GroupRecord) -> (Group, Option<usize>) {
        let route = self.router.find(&record.route_key, &record.receiver);
        let node = route.map(|at| self.router.node(at));
        let members = record.members.iter().copied();
        let group = Group {
            id: record.id.as_str().into(),
            receiver: record.receiver.as_str().into(),
            route,
            route_key: record.route_key.clone(),
            key: record.key.clone(),
            labels: Labels::from_pairs(record.labels.clone()),
            members: members
                .filter(|alert| self.alerts.get(*alert).is_some())
                .collect(),
            next_flush: record.next_flush,
            has_flushed: record.has_flushed,
            flushed_revision: 0,
            flushed_at: i64::MIN,
            last_notified: record.last_notified,
            interval_ms: node.map_or(record.interval_ms, |node| node.group_interval_ms),
            repeat_ms: node.map_or(record.repeat_ms, |node| node.repeat_interval_ms),
            log: record.log(),
            in_flight: HashMap::new(),
            escalation: record.escalation.clone(),
            acknowledgement: record.acknowledgement.clone(),
            is_behind: false,
        };
        (group, route)
    }

    fn resume(&mut self, outbox: &[Notification]) {
        for notification in outbox {
            self.next_id = self.next_id.max(notification.id + 1);
            if let Some(group) = self.groups.get_mut(notification.group.as_str()) {
                group.in_flight.insert(notification.to(), notification.id);
            }
        }
    }
}
