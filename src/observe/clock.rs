//! When output came, and what lay between.

use std::time::Duration;

use super::gaps::Gaps;
use super::reading::Heard;
use crate::dialect::Output;
use crate::exchange::{Flow, Stall, Times};

/// Notes when output came, and what lay between.
pub(super) struct OutputClock {
    last: Option<Duration>,
    gaps: Gaps,
    stall_threshold: Duration,
}

impl OutputClock {
    pub(super) fn new(stall_threshold: Duration) -> Self {
        Self {
            last: None,
            gaps: Gaps::default(),
            stall_threshold,
        }
    }

    /// Notes what came.
    pub(super) fn note(&mut self, at: Duration, heard: Heard, times: &mut Times, flow: &mut Flow) {
        match heard {
            Heard::Event(output) => {
                times.first_chunk.get_or_insert(at);
                *flow.events.get_or_insert(0) += 1;
                flow.chunks.get_or_insert(0);
                if output.any() {
                    self.tick(at, output, times, flow);
                }
            }
            Heard::Bytes => {
                times.first_token.get_or_insert(at);
                times.last_token = Some(at);
            }
        }
    }

    /// Says what lay between.
    pub(super) fn settle(&mut self, flow: &mut Flow) {
        flow.gap_max = self.gaps.max();
        flow.gap_p99 = self.gaps.p99();
        flow.gaps = std::mem::take(&mut self.gaps).into_means();
    }

    fn tick(&mut self, at: Duration, output: Output, times: &mut Times, flow: &mut Flow) {
        *flow.chunks.get_or_insert(0) += 1;
        times.first_token.get_or_insert(at);
        times.last_token = Some(at);
        let firsts = [
            (output.reasoning, &mut times.first_reasoning),
            (output.content, &mut times.first_content),
            (output.audio, &mut times.first_audio),
            (output.tool_call, &mut times.first_tool_call),
        ];
        for (_, first) in firsts.into_iter().filter(|(came, _)| *came) {
            first.get_or_insert(at);
        }
        let Some(last) = self.last.replace(at) else {
            return;
        };
        let gap = at.saturating_sub(last);
        self.gaps.push(gap);
        if gap > self.stall_threshold {
            flow.stall_count += 1;
            if flow.stalls.len() < Flow::STALLS_KEPT {
                flow.stalls.push(Stall { at, gap });
            }
        }
    }
}
