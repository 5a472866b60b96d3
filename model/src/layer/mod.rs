//! The table of open inferences.

pub mod model;
#[path = "../../../src/layer/values.rs"]
mod values;

mod open {
    include!(concat!(env!("OUT_DIR"), "/open.rs"));
}

mod callsite {
    /// The part of a callsite's plan that the table stores.
    pub(super) struct CallsitePlan {
        pub(super) number: u32,
        pub(super) declares_status: bool,
    }
}

mod overflow_spans {
    /// The type that the documentation of the table names.
    pub(super) struct OverflowSpans;
}
