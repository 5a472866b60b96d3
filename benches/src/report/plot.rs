//! Draws bars as SVG, for light and dark colour schemes.

use std::fmt::Write as _;

const WIDTH: usize = 760;
const LABEL_WIDTH: usize = 210;
const VALUE_WIDTH: usize = 70;
const BAR_HEIGHT: usize = 18;
const GAP: usize = 6;
const TITLE_HEIGHT: usize = 40;

const MARGIN: usize = 16;
const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #1f2328 } \
    .title { font-weight: 600 } .peer { fill: #afb8c1 } .ours { fill: #0969da } \
    .paper { fill: #ffffff } \
    @media (prefers-color-scheme: dark) { .paper { fill: #0d1117 } text { fill: #e6edf3 } .peer { fill: #484f58 } .ours { fill: #58a6ff } }";

/// One bar.
pub(super) struct Bar {
    name: String,
    value: f64,
    is_ours: bool,
}

impl Bar {
    pub(super) fn new(name: &str, value: f64, is_ours: bool) -> Self {
        Self {
            name: name.to_owned(),
            value,
            is_ours,
        }
    }
}

/// Groups of bars, each with its own scale.
#[derive(Default)]
pub(super) struct Plot(Vec<(String, Vec<Bar>)>);

impl Plot {
    pub(super) fn group(&mut self, title: impl Into<String>, bars: Vec<Bar>) {
        self.0.push((title.into(), bars));
    }

    pub(super) fn to_svg(&self) -> String {
        let mut body = String::new();
        let mut y = 0;
        for (title, bars) in &self.0 {
            y += TITLE_HEIGHT;
            let _ = writeln!(
                body,
                r#"<text class="title" x="0" y="{}">{}</text>"#,
                y - 10,
                escaped(title)
            );
            let longest = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
            for bar in bars {
                draw(&mut body, bar, longest, y);
                y += BAR_HEIGHT + GAP;
            }
        }
        // The page around the image may be light or dark, so the image has its own background and margin.
        let paper = WIDTH + 2 * MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-{MARGIN} 0 {paper} {y}\" role=\"img\">\n<style>{STYLE}</style>\n<rect class=\"paper\" x=\"-{MARGIN}\" width=\"{paper}\" height=\"{y}\"/>\n{body}</svg>\n"
        )
    }
}

fn draw(body: &mut String, bar: &Bar, longest: f64, y: usize) {
    let room = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) as f64;
    let width = room * bar.value / longest;
    let class = if bar.is_ours { "ours" } else { "peer" };
    let baseline = y + BAR_HEIGHT - 5;
    let end = LABEL_WIDTH as f64 + width + 6.0;
    let (name, value) = (escaped(&bar.name), bar.value);
    let _ = writeln!(
        body,
        r#"<text x="0" y="{baseline}">{name}</text><rect class="{class}" x="{LABEL_WIDTH}" y="{y}" width="{width:.1}" height="{BAR_HEIGHT}" rx="2"/><text x="{end:.1}" y="{baseline}">{value:.0}</text>"#
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
