//! Generates random queries from the grammar: each operator, aggregation and function over the series of the dataset.

use super::random::Random;

pub(crate) struct Generator {
    random: Random,
}

const SELECTORS: &[&str] = &[
    "requests_total",
    "requests_total{job=\"api\"}",
    "requests_total{code=~\"2..\"}",
    "requests_total{code!=\"200\"}",
    "temperature",
    "temperature{job=\"web\"}",
    "build_info",
    "memory_bytes",
    "latency_bucket",
    "odd_bucket",
    "dup_a",
    "dup_b",
    "{__name__=~\"dup_.*\"}",
    "single",
    "two",
    "constant",
    "late_total",
    "ended_total",
    "flapping",
    "infinite",
    "nothing_but_nan",
    "falling_total",
    "negative",
    "sparse_total",
    "missing",
    "{job=~\"a.*\",__name__!~\".*_bucket\"}",
    "temperature{instance!~\"a.*\"}",
];
const LABELS: &[&str] = &[
    "job", "instance", "code", "le", "x", "kind", "version", "nothing",
];
const RANGES: &[&str] = &["15s", "1m", "2m", "5m", "10m", "33m", "1h30m", "7s"];
const OFFSETS: &[&str] = &["1m", "-2m", "10m", "1ms"];
const NUMBERS: &[&str] = &[
    "0", "1", "2.5", "-3", "1e3", "NaN", "Inf", "-Inf", "0.5", "100", "0.95", "7",
];
const RANGE_FUNCTIONS: &[&str] = &[
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "absent_over_time",
    "changes",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "deriv",
];
const VECTOR_FUNCTIONS: &[&str] = &[
    "abs",
    "ceil",
    "floor",
    "exp",
    "sqrt",
    "ln",
    "log2",
    "log10",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "deg",
    "rad",
    "sgn",
    "sort",
    "sort_desc",
    "absent",
    "timestamp",
    "minute",
    "hour",
    "month",
    "year",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "round",
];
const AGGREGATIONS: &[&str] = &[
    "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
];
const ARITHMETIC: &[&str] = &["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: &[&str] = &["==", "!=", ">", "<", ">=", "<="];
const SETS: &[&str] = &["and", "or", "unless"];

/// The lists of names that the chosen expressions share.
pub(crate) fn list(name: &str) -> &'static [&'static str] {
    match name {
        "range_functions" => RANGE_FUNCTIONS,
        "vector_functions" => VECTOR_FUNCTIONS,
        "aggregations" => AGGREGATIONS,
        "arithmetic" => ARITHMETIC,
        "comparisons" => COMPARISONS,
        "sets" => SETS,
        other => panic!("there is no list {other}"),
    }
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed | 1),
        }
    }

    pub(crate) fn query(&mut self) -> String {
        let depth = 1 + self.random.below(4);
        if self.random.below(12) == 0 {
            self.scalar(depth)
        } else {
            self.vector(depth)
        }
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.random.below(from.len())]
    }

    fn modifiers(&mut self) -> String {
        match self.random.below(14) {
            0 => format!(" offset {}", self.pick(OFFSETS)),
            1 => format!(" @ {}", 1_700_000_000 + self.random.below(3500)),
            2 => " @ start()".to_owned(),
            3 => format!(" @ end() offset {}", self.pick(OFFSETS)),
            _ => String::new(),
        }
    }

    fn matrix(&mut self, depth: usize) -> String {
        let modifiers = self.modifiers();
        if depth > 1 && self.random.below(4) == 0 {
            let step = ["", "30s", "1m", "17s"][self.random.below(4)];
            let range = ["5m", "2m", "11m"][self.random.below(3)];
            return format!("({})[{range}:{step}]{modifiers}", self.vector(depth - 1));
        }
        format!("{}[{}]{modifiers}", self.pick(SELECTORS), self.pick(RANGES))
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 5 } else { 9 }) {
            0..=3 => self.pick(NUMBERS).to_owned(),
            4 => "time()".to_owned(),
            5 => format!("scalar({})", self.vector(depth - 1)),
            6 => format!("-({})", self.scalar(depth - 1)),
            7 => format!(
                "({} {} bool {})",
                self.scalar(depth - 1),
                self.pick(COMPARISONS),
                self.scalar(depth - 1)
            ),
            _ => format!(
                "({} {} {})",
                self.scalar(depth - 1),
                self.pick(ARITHMETIC),
                self.scalar(depth - 1)
            ),
        }
    }

    fn labels(&mut self) -> String {
        let count = self.random.below(3);
        (0..count)
            .map(|_| self.pick(LABELS))
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn matching(&mut self, grouping: bool) -> String {
        let word = self.pick(&["on", "ignoring"]);
        let base = match self.random.below(3) {
            0 => return String::new(),
            _ => format!("{word} ({})", self.labels()),
        };
        match self.random.below(4) {
            0 if grouping => format!("{base} group_left ({})", self.pick(&["", "version"])),
            1 if grouping => format!("{base} group_right ({})", self.pick(&["", "version"])),
            _ => base,
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            let modifiers = self.modifiers();
            return format!("{}{modifiers}", self.pick(SELECTORS));
        }
        let inner = depth - 1;
        match self.random.below(17) {
            0..=2 => format!("{}({})", self.pick(RANGE_FUNCTIONS), self.matrix(depth)),
            3 => format!("{}({})", self.pick(VECTOR_FUNCTIONS), self.vector(inner)),
            4 | 5 => {
                let grouping = match self.random.below(3) {
                    0 => String::new(),
                    1 => format!(" by ({})", self.labels()),
                    _ => format!(" without ({})", self.labels()),
                };
                format!(
                    "{}{grouping} ({})",
                    self.pick(AGGREGATIONS),
                    self.vector(inner)
                )
            }
            6 => {
                let k = ["1", "2", "3", "0", "-1", "100"][self.random.below(6)];
                let labels = self.labels();
                // Which of equal values stay is not defined, so make them differ.
                format!(
                    "{} by ({labels}) ({k}, {})",
                    self.pick(&["topk", "bottomk"]),
                    self.pick(&["temperature", "memory_bytes", "requests_total"])
                )
            }
            7 => format!(
                "quantile by ({}) ({}, {})",
                self.labels(),
                self.scalar(0),
                self.vector(inner)
            ),
            8 => format!(
                "count_values by ({}) (\"v\", floor({}))",
                self.labels(),
                self.vector(inner)
            ),
            9 => format!(
                "{} {} {}",
                self.operand(inner),
                self.arithmetic(),
                self.operand(inner)
            ),
            10 => format!(
                "{} {} {} {}",
                self.operand(inner),
                self.pick(SETS),
                self.matching(false),
                self.operand(inner)
            ),
            11 => {
                let bool = self.pick(&["", "bool "]);
                format!(
                    "{} {} {bool}{} {}",
                    self.operand(inner),
                    self.pick(COMPARISONS),
                    self.matching(true),
                    self.operand(inner)
                )
            }
            12 => {
                let (vector, scalar) = (self.operand(inner), self.scalar(inner));
                let op = self.arithmetic();
                if self.random.below(2) == 0 {
                    format!("{vector} {op} {scalar}")
                } else {
                    format!("{scalar} {op} {vector}")
                }
            }
            13 => {
                let (vector, scalar) = (self.operand(inner), self.scalar(inner));
                let op = self.pick(COMPARISONS);
                let bool = self.pick(&["", "bool "]);
                if self.random.below(2) == 0 {
                    format!("{vector} {op} {bool}{scalar}")
                } else {
                    format!("{scalar} {op} {bool}{vector}")
                }
            }
            14 => match self.random.below(6) {
                0 => format!(
                    "histogram_quantile({}, {})",
                    self.scalar(0),
                    self.vector(inner)
                ),
                1 => format!(
                    "histogram_quantile({}, rate(latency_bucket[{}]))",
                    self.scalar(0),
                    self.pick(RANGES)
                ),
                2 => format!(
                    "quantile_over_time({}, {})",
                    self.scalar(0),
                    self.matrix(depth)
                ),
                3 => format!("predict_linear({}, {})", self.matrix(depth), self.scalar(0)),
                4 => format!("holt_winters({}, 0.3, 0.6)", self.matrix(depth)),
                _ => format!("vector({})", self.scalar(inner)),
            },
            15 => match self.random.below(5) {
                0 => format!(
                    "clamp({}, {}, {})",
                    self.vector(inner),
                    self.scalar(0),
                    self.scalar(0)
                ),
                1 => format!("clamp_min({}, {})", self.vector(inner), self.scalar(0)),
                2 => format!("clamp_max({}, {})", self.vector(inner), self.scalar(0)),
                3 => format!(
                    "label_replace({}, \"{}\", \"$1-x\", \"{}\", \"(.).*\")",
                    self.vector(inner),
                    self.pick(LABELS),
                    self.pick(LABELS)
                ),
                _ => format!(
                    "label_join({}, \"{}\", \"-\", \"{}\", \"{}\")",
                    self.vector(inner),
                    self.pick(LABELS),
                    self.pick(LABELS),
                    self.pick(LABELS)
                ),
            },
            _ => format!("-{}", self.operand(inner)),
        }
    }

    fn operand(&mut self, depth: usize) -> String {
        if depth == 0 {
            self.vector(0)
        } else {
            format!("({})", self.vector(depth))
        }
    }

    fn arithmetic(&mut self) -> String {
        let matching = String::new();
        format!("{} {matching}", self.pick(ARITHMETIC))
            .trim_end()
            .to_owned()
    }
}
