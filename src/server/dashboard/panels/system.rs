//! Panels of the process, the machine, the runtime, and the observatory itself.

use super::{Draw, Panel, Query, Unit, View, column, query};

const fn lines(
    id: &'static str,
    texts: (&'static str, &'static str),
    unit: Unit,
    queries: &'static [Query],
) -> Panel {
    Panel::new((View::System, Draw::Lines), id, texts, unit)
        .queries(queries)
        .width(4)
}

pub(super) const PANELS: &[Panel] = &[
    lines(
        "cpu",
        ("CPU", "How much CPU do the process and its monitoring use?"),
        Unit::Cores,
        &[
            query("process", "rate(process_cpu_seconds_total[$W])"),
            query("observatory", "rate(observatory_cpu_seconds_total[$W])"),
        ],
    ),
    lines(
        "memory",
        ("Memory", "How much memory does the process hold?"),
        Unit::Bytes,
        &[
            query("resident", "process_resident_memory_bytes"),
            query("series store", "observatory_store_bytes"),
            query("queries", "observatory_query_bytes"),
        ],
    ),
    lines(
        "machine",
        ("Machine", "How busy is the machine?"),
        Unit::Ratio,
        &[
            query("CPU", "system_cpu_usage_ratio"),
            query(
                "memory",
                "sum(system_memory_bytes{state=\"used\"}) / sum(system_memory_bytes{state=\"total\"})",
            ),
        ],
    ),
    lines(
        "runtime",
        (
            "Runtime",
            "How busy are the workers of the application's runtime?",
        ),
        Unit::Ratio,
        &[query(
            "busy workers",
            "sum without (worker) (rate(tokio_worker_busy_seconds_total[$W])) / tokio_workers",
        )],
    )
    .empty("Install the observatory inside of the tokio runtime, and its workers are shown here."),
    lines(
        "tasks",
        ("Tasks", "How many tasks are alive, and how many wait?"),
        Unit::Count,
        &[
            query("alive", "tokio_alive_tasks"),
            query("in the global queue", "tokio_global_queue_depth"),
        ],
    )
    .empty("Install the observatory inside of the tokio runtime, and its tasks are shown here."),
    lines(
        "network",
        ("Network", "How much does the machine send and receive?"),
        Unit::BytesPerSecond,
        &[
            query(
                "received",
                "sum(rate(system_network_receive_bytes_total[$W]))",
            ),
            query("sent", "sum(rate(system_network_transmit_bytes_total[$W]))"),
        ],
    ),
    lines(
        "observations",
        (
            "Observations",
            "How much is observed, and is anything dropped?",
        ),
        Unit::PerSecond,
        &[
            query(
                "{{kind}}",
                "sum by (kind) (rate(observatory_observations_total[$W]))",
            ),
            query(
                "dropped: {{reason}}",
                "sum by (reason) (rate(observatory_dropped_observations_total[$W])) > 0",
            ),
        ],
    ),
    lines(
        "spans",
        ("Spans", "Do the exporters keep up?"),
        Unit::PerSecond,
        &[
            query(
                "{{exporter}} {{result}}",
                "sum by (exporter, result) (rate(observatory_spans_total[$W]))",
            ),
            query(
                "dropped: {{reason}}",
                "sum by (reason) (rate(observatory_dropped_spans_total[$W])) > 0",
            ),
        ],
    )
    .empty("No exporter: OTEL_EXPORTER_OTLP_ENDPOINT sends the traces to a collector, too."),
    lines(
        "queues",
        ("Queues of monitoring", "Does anything wait?"),
        Unit::Count,
        &[
            query("notifications", "observatory_outbox_depth"),
            query("connections", "observatory_server_connections"),
        ],
    ),
    Panel::new(
        (View::System, Draw::Table),
        "cardinality",
        (
            "Series by metric",
            "Which metrics have the most series, and which have reached their limit?",
        ),
        Unit::Count,
    )
    .queries(&[
        column(
            "Series",
            Unit::Count,
            "topk(50, sum by (metric) (observatory_series))",
        ),
        column(
            "Overflowed",
            Unit::Count,
            "sum by (metric) (observatory_series_overflowed_total) > 0",
        ),
    ]),
];
