//! Panels of alerts, beside the charts of the rules' own expressions.

use super::{Draw, Panel, Unit, View, query};

pub(super) const PANELS: &[Panel] = &[
    Panel::new(
        (View::Alerts, Draw::Stack),
        "alerts_by_state",
        (
            "Alerts by state",
            "How many alerts fire, and how many are pending?",
        ),
        Unit::Count,
    )
    .queries(&[query(
        "{{alertstate}}",
        "sum by (alertstate) (observatory_alerts)",
    )]),
    Panel::new(
        (View::Alerts, Draw::Stack),
        "notifications",
        (
            "Notifications",
            "Do the receivers accept the notifications?",
        ),
        Unit::Count,
    )
    .queries(&[
        query(
            "accepted, {{channel}}",
            "sum by (channel) (increase(observatory_notifications_sent_total[$W]))",
        ),
        query(
            "failed, {{channel}}: {{reason}}",
            "sum by (channel, reason) (increase(observatory_notifications_failed_total[$W])) > 0",
        ),
        query(
            "suppressed by {{reason}}",
            "sum by (reason) (increase(observatory_notifications_suppressed_total[$W])) > 0",
        ),
    ]),
];
