use super::*;
use openai_responses::OpenAiResponses;

#[test]
fn responses_fixtures_read_as_expected_at_any_cut() {
    check_fixtures("responses", &OpenAiResponses::Create);
}

#[test]
fn fetched_responses_read_as_expected_at_any_cut() {
    check_fixtures("responses-fetched", &OpenAiResponses::Fetch);
}
