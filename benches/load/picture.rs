//! The goals as an SVG for the README, drawn from the JSON of a run: each peer's cost as a multiple of nginx, on a
//! logarithmic scale.

use std::fmt::Write as _;

use serde_json::Value;

use crate::peers::{MEASURED, ONE_WORKER, REFERENCE};

const WIDTH: f64 = 880.0;
/// Left and right end of the scale.
const PLOT: (f64, f64) = (296.0, 712.0);
const TOP: f64 = 80.0;
const ROW: f64 = 36.0;

const STYLE: &str = "
    .card { fill: #fff; stroke: #d5dce2; }
    text { fill: #1b2530; }
    .quiet { fill: #5b6772; font-size: 12px; }
    .strong { font-weight: 600; }
    .own { fill: #0b6e8f; }
    .grid { stroke: #e3e8ec; }
    .nginx { stroke: #5b6772; stroke-width: 1.5; }
    .goal { stroke: #3c8c50; stroke-width: 3; }
    .span { stroke: #0b6e8f; stroke-width: 4; stroke-opacity: 0.25; }
    .other { fill: #fff; stroke-width: 2; }
    .first { stroke: #b4661e; }
    .second { stroke: #8a4fa3; }
    @media (prefers-color-scheme: dark) {
      .card { fill: #11171c; stroke: #2b353d; }
      text { fill: #dde4ea; }
      .quiet { fill: #9aa7b2; }
      .own { fill: #5cc0e0; }
      .grid { stroke: #242d34; }
      .nginx { stroke: #9aa7b2; }
      .goal { stroke: #6cc283; }
      .span { stroke: #5cc0e0; }
      .other { fill: #11171c; }
      .first { stroke: #e39a57; }
      .second { stroke: #c592dc; }
    }
  ";

/// The picture of a run's document.
pub(crate) fn of(document: &Value) -> String {
    let rows: Vec<Row<'_>> = array(&document["goals"]).filter_map(Row::of).collect();
    let peers: Vec<&str> = rows.first().map(Row::others).unwrap_or_default();
    let scale = Scale::over(&rows);
    let bottom = TOP + ROW * rows.len() as f64;
    let height = bottom + 78.0;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="14" role="img" aria-labelledby="title">
  <title id="title">What streamgauge costs as a multiple of nginx: {}</title>
  <style>{STYLE}</style>
  <rect class="card" x="0.5" y="0.5" width="{}" height="{}" rx="10"/>
  <text class="strong" x="24" y="34">Cost as a multiple of nginx</text>
  <text class="quiet" x="24" y="54">all telemetry on; HTTP/1.1 without TLS, unless another link is named; less is better; logarithmic</text>
"#,
        summary(&rows),
        WIDTH - 1.0,
        height - 1.0,
    );
    legend(&mut svg, &peers);
    axis(&mut svg, &scale, bottom);
    for (place, row) in rows.iter().enumerate() {
        row.draw(&mut svg, &scale, &peers, TOP + ROW * (place as f64 + 0.5));
    }
    for (place, text) in origin(document).iter().enumerate() {
        let y = bottom + 44.0 + 18.0 * place as f64;
        let _ = writeln!(svg, r#"  <text class="quiet" x="24" y="{y}">{text}</text>"#);
    }
    svg.push_str("</svg>\n");
    svg
}

/// One goal, as far as it can be drawn.
struct Row<'a> {
    goal: &'a Value,
    /// streamgauge's multiple of nginx.
    own: f64,
}

impl<'a> Row<'a> {
    /// `None` where nginx or streamgauge was not measured.
    fn of(goal: &'a Value) -> Option<Self> {
        let own = times_nginx(goal, MEASURED)?;
        Some(Self { goal, own })
    }

    /// The peers besides nginx and streamgauge: as many as there are marks for.
    fn others(&self) -> Vec<&'a str> {
        let peers = self.goal["peers"].as_object().into_iter().flatten();
        let names = peers.map(|(name, _)| name.as_str());
        names
            .filter(|name| ![MEASURED, REFERENCE, ONE_WORKER].contains(name))
            .take(2)
            .collect()
    }

    /// The goal as a multiple of nginx: one set in a unit is as many times what nginx came to in this run.
    fn at_most(&self) -> Option<f64> {
        let at_most = self.goal["at_most"].as_f64()?;
        if self.goal["unit"] == "× nginx" {
            return Some(at_most);
        }
        let nginx = self.goal["peers"][REFERENCE]["figure"].as_f64()?;
        (nginx > 0.0).then(|| at_most / nginx)
    }

    fn draw(&self, svg: &mut String, scale: &Scale, peers: &[&str], y: f64) {
        let own = scale.x(self.own);
        let name = self.goal["goal"].as_str().unwrap_or_default();
        let _ = writeln!(svg, r#"  <text x="24" y="{}">{name}</text>"#, y + 5.0);
        line(svg, "grid", (PLOT.0, y), (PLOT.1, y));
        line(svg, "span", (scale.x(1.0), y), (own, y));
        if let Some(at_most) = self.at_most() {
            let x = scale.x(at_most);
            line(svg, "goal", (x, y - 8.0), (x, y + 8.0));
        }
        for (place, peer) in peers.iter().enumerate() {
            if let Some(times) = times_nginx(self.goal, peer) {
                other(svg, place, scale.x(times), y);
            }
        }
        let _ = writeln!(
            svg,
            r#"  <circle class="own" cx="{own:.1}" cy="{y}" r="6.5"/>
  <text class="strong own" x="{}" y="{}" text-anchor="end">{}</text>
  <text class="quiet" x="{}" y="{}">{}</text>"#,
            PLOT.1 + 62.0,
            y + 5.0,
            times(self.own),
            PLOT.1 + 76.0,
            y + 4.0,
            self.value(),
        );
    }

    /// What streamgauge came to, with the unit that ends the figure's name.
    fn value(&self) -> String {
        let figure = self.goal["figure"].as_str().unwrap_or_default();
        let unit = figure.rsplit(", ").next().unwrap_or_default();
        let value = self.goal["peers"][MEASURED]["figure"]
            .as_f64()
            .unwrap_or_default();
        if value.abs() >= 1000.0 && unit == "µs" {
            format!("{} ms", rounded(value / 1000.0))
        } else {
            format!("{} {unit}", rounded(value))
        }
    }
}

/// From a multiple of nginx to a place in the picture.
struct Scale {
    least: f64,
    greatest: f64,
}

impl Scale {
    /// One with room for all that is to be drawn, and for half and twice nginx at the least.
    fn over(rows: &[Row<'_>]) -> Self {
        let mut scale = Self {
            least: 0.4,
            greatest: 2.5,
        };
        for row in rows {
            let drawn = row.others().into_iter().chain([MEASURED]);
            let drawn = drawn.filter_map(|peer| times_nginx(row.goal, peer));
            for times in drawn.chain(row.at_most()) {
                // What is less than a tenth of nginx, or nothing, stands at the left end.
                scale.least = scale.least.min(times.max(0.1) * 0.8);
                scale.greatest = scale.greatest.max(times * 1.25);
            }
        }
        scale
    }

    fn x(&self, times: f64) -> f64 {
        let times = times.clamp(self.least, self.greatest);
        let share = (times / self.least).ln() / (self.greatest / self.least).ln();
        PLOT.0 + (PLOT.1 - PLOT.0) * share
    }

    /// Powers of ten, with two and five times each where there is room for them.
    fn ticks(&self) -> Vec<f64> {
        let between: &[f64] = if self.greatest / self.least < 300.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let ticks =
            (-2..6).flat_map(|power| between.iter().map(move |tick| tick * 10f64.powi(power)));
        ticks
            .filter(|tick| (self.least..=self.greatest).contains(tick))
            .collect()
    }
}

fn axis(svg: &mut String, scale: &Scale, bottom: f64) {
    for tick in scale.ticks() {
        let x = scale.x(tick);
        // Not `tick == 1.0`: it comes out of a power.
        let nginx = (tick - 1.0).abs() < 1e-6;
        line(
            svg,
            if nginx { "nginx" } else { "grid" },
            (x, TOP),
            (x, bottom),
        );
        let label = if nginx {
            "nginx".to_owned()
        } else {
            times(tick)
        };
        let _ = writeln!(
            svg,
            r#"  <text class="quiet" x="{x:.1}" y="{}" text-anchor="middle">{label}</text>"#,
            bottom + 18.0
        );
    }
}

/// What each mark is, to the right of the title.
fn legend(svg: &mut String, peers: &[&str]) {
    let y = 34.0;
    let mut x = PLOT.0 + 7.0;
    let label = |svg: &mut String, x: &mut f64, text: &str| {
        let _ = writeln!(svg, r#"  <text x="{}" y="{}">{text}</text>"#, *x + 14.0, y);
        *x += 46.0 + 7.5 * text.len() as f64;
    };
    let _ = writeln!(
        svg,
        r#"  <circle class="own" cx="{x}" cy="{}" r="6.5"/>"#,
        y - 5.0
    );
    label(svg, &mut x, MEASURED);
    for (place, peer) in peers.iter().enumerate() {
        other(svg, place, x, y - 5.0);
        label(svg, &mut x, peer);
    }
    line(svg, "goal", (x, y - 13.0), (x, y + 3.0));
    label(svg, &mut x, "goal: at most");
}

/// The mark of a peer besides the two.
fn other(svg: &mut String, place: usize, x: f64, y: f64) {
    let _ = if place == 0 {
        writeln!(
            svg,
            r#"  <rect class="other first" x="{:.1}" y="{}" width="9" height="9"/>"#,
            x - 4.5,
            y - 4.5
        )
    } else {
        writeln!(
            svg,
            r#"  <path class="other second" d="M{x:.1} {}l6 6-6 6-6-6z"/>"#,
            y - 6.0
        )
    };
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = writeln!(
        svg,
        r#"  <line class="{class}" x1="{:.1}" y1="{}" x2="{:.1}" y2="{}"/>"#,
        from.0, from.1, to.0, to.1
    );
}

/// Where the figures come from, in two lines.
fn origin(document: &Value) -> [String; 2] {
    let text = |key: &str| document[key].as_str().unwrap_or("?").to_owned();
    let versions = document["versions"].as_object().into_iter().flatten();
    let versions: Vec<String> = versions
        .map(|(peer, version)| format!("{peer} {}", version.as_str().unwrap_or("?")))
        .collect();
    let rounds = match document["rounds"].as_u64() {
        Some(1) => "one round".to_owned(),
        rounds => format!("median of {} rounds", rounds.unwrap_or_default()),
    };
    [
        format!(
            "{}: {rounds} on {} cores, {}",
            text("date"),
            document["cores"],
            text("cpu")
        ),
        versions.join(" · "),
    ]
}

/// The rows in words, for those who do not see the picture.
fn summary(rows: &[Row<'_>]) -> String {
    let row = |row: &Row<'_>| {
        let name = row.goal["goal"].as_str().unwrap_or_default();
        format!("{name} {}", times(row.own))
    };
    rows.iter().map(row).collect::<Vec<_>>().join("; ")
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn times_nginx(goal: &Value, peer: &str) -> Option<f64> {
    goal["peers"][peer]["times_nginx"].as_f64()
}

fn times(times: f64) -> String {
    format!("{}×", rounded(times))
}

/// Two digits that matter, more before the point.
fn rounded(value: f64) -> String {
    match value.abs() {
        size if size >= 9.95 => format!("{value:.0}"),
        size if size >= 0.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
