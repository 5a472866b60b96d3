//! Restores the dispatcher after a restart or with a changed routing.

use std::{collections::HashMap, sync::Arc};

use super::{DispatchOptions, Dispatcher, GroupRecord, Notification, PersistedState, group::Group};
use crate::{
    alerting::{Alert, Router, Silences},
    query::Labels,
    runtime::unix_ms::{UnixMs, duration_from_ms},
};

impl Dispatcher {
    /// Creates a dispatcher from the persisted state.
    ///
    /// A firing alert stays valid for the restart grace, so that its rule has time to send it again. A group without a
    /// route remains until its resolved notifications are delivered. The notifications of the outbox count as in
    /// flight; the owner of the outbox sends them.
    pub(crate) fn restore(
        router: Router,
        options: DispatchOptions,
        persisted: PersistedState,
        now: UnixMs,
    ) -> Self {
        let mut dispatcher = Self::new(router, options);
        let grace_until = (now + dispatcher.options.restart_grace).as_i64();
        for record in persisted.alerts {
            let mut alert = Alert::clone(&record.alert);
            if !record.is_reported_resolved {
                alert.ends_at = alert.ends_at.max(grace_until);
            }
            dispatcher
                .alerts
                .restore(alert, record.is_reported_resolved);
        }
        dispatcher.silences = Silences::restore(persisted.silences);
        dispatcher.restore_groups(persisted.groups, now);
        dispatcher.restore_in_flight(&persisted.outbox);
        dispatcher
    }

    /// Replaces the routing; notifications in flight stay in flight.
    pub(crate) fn reconfigure(&mut self, router: Router, now: UnixMs) {
        let records: Vec<GroupRecord> = self.groups.values().map(Group::record).collect();
        let mut in_flight: HashMap<Arc<str>, _> = self
            .groups
            .drain()
            .map(|(id, group)| (id, group.in_flight))
            .collect();
        self.ids.clear();
        self.router = router;
        self.restore_groups(records, now);
        for (id, group) in &mut self.groups {
            if let Some(in_flight) = in_flight.remove(id) {
                group.in_flight = in_flight;
            }
        }
        self.dirty.groups.extend(in_flight.into_keys());
        self.dirty.groups.extend(self.groups.keys().cloned());
    }

    /// Restores groups, and adds every known alert to the groups of its current routes.
    fn restore_groups(&mut self, records: Vec<GroupRecord>, now: UnixMs) {
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
            flushed_at: UnixMs::MIN,
            last_notified: record.last_notified,
            group_interval: node.map_or_else(
                || duration_from_ms(record.group_interval_ms),
                |node| node.group_interval,
            ),
            repeat_interval: node.map_or_else(
                || duration_from_ms(record.repeat_interval_ms),
                |node| node.repeat_interval,
            ),
            log: record.log(),
            in_flight: HashMap::new(),
            escalation: record.escalation.clone(),
            acknowledgement: record.acknowledgement.clone(),
            has_stale_address: false,
        };
        (group, route)
    }

    fn restore_in_flight(&mut self, outbox: &[Notification]) {
        for notification in outbox {
            self.next_id = self.next_id.max(notification.id + 1);
            if let Some(group) = self.groups.get_mut(notification.group.as_str()) {
                group
                    .in_flight
                    .insert(notification.destination(), notification.id);
            }
        }
    }
}
