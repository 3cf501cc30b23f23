use super::*;
use crate::top::api::{Exchanges, One, Totals, Turn};

fn rows(ids: &[u64]) -> Exchanges {
    let row = |id: &u64| Row {
        id: *id,
        duration_ms: Some(1000.0 / *id as f64),
        ..Row::default()
    };
    Exchanges {
        total: ids.first().copied().unwrap_or_default(),
        exchanges: ids.iter().map(row).collect(),
        next: None,
    }
}

fn hear(model: &mut Model, filter: &str, ids: &[u64]) {
    model.hear(News::Exchanges(filter.to_owned(), rows(ids)));
}

/// A model with rows 9 to 5, of which three are in sight.
fn model() -> Model {
    let mut model = Model::new("http://127.0.0.1:9464".to_owned());
    model.table.window.height = 3;
    hear(&mut model, "", &[9, 8, 7, 6, 5]);
    model
}

fn ids(model: &Model) -> Vec<u64> {
    model.rows.iter().map(|row| row.id).collect()
}

fn selected_id(model: &Model) -> Option<u64> {
    model.selected().map(|at| model.rows[at].id)
}

/// Writes a filter and submits it.
fn submit(model: &mut Model, filter: &str) -> Then {
    model.act(Action::Filter);
    model.act(Action::Edit(Edit::DeleteAll));
    for character in filter.chars() {
        model.act(Action::Edit(Edit::Insert(character)));
    }
    model.act(Action::Edit(Edit::Submit))
}

fn mistake() -> Mistake {
    Mistake {
        message: "expected a duration".to_owned(),
        position: Some(5),
    }
}

#[test]
fn a_selection_stays_with_its_exchange_while_others_end() {
    let mut model = model();
    model.act(Action::Move(1));
    assert_eq!(selected_id(&model), Some(9));
    model.act(Action::Move(1));
    hear(&mut model, "", &[12, 11, 10, 9, 8]);
    assert_eq!(selected_id(&model), Some(8));
    assert_eq!(model.selected(), Some(4));
}

#[test]
fn a_selected_exchange_that_is_not_kept_leaves_the_selection_in_its_place() {
    let mut model = model();
    model.act(Action::Last);
    assert_eq!(selected_id(&model), Some(5));
    hear(&mut model, "", &[12, 11, 10]);
    assert_eq!(model.selected(), Some(2));
    hear(&mut model, "", &[]);
    assert_eq!(model.selected(), None);
    assert_eq!(model.act(Action::Open), Then::Nothing);
}

#[test]
fn moves_end_at_the_first_and_the_last_row() {
    let mut model = model();
    for action in [Action::Last, Action::Move(1), Action::Page(1)] {
        model.act(action);
        assert_eq!(selected_id(&model), Some(5), "{action:?}");
    }
    model.act(Action::Page(-1));
    assert_eq!(selected_id(&model), Some(8));
    for action in [Action::Page(-1), Action::Move(-1), Action::First] {
        model.act(action);
        assert_eq!(selected_id(&model), Some(9), "{action:?}");
    }
    model.act(Action::Back);
    assert_eq!(model.selected(), None);
}

#[test]
fn rows_are_ordered_by_any_column_both_ways_and_stay_so() {
    let mut model = model();
    while model.sort.column != Column::Duration {
        model.act(Action::Sort(1));
    }
    assert_eq!(ids(&model), [5, 6, 7, 8, 9]);
    model.act(Action::Reverse);
    assert_eq!(ids(&model), [9, 8, 7, 6, 5]);
    model.act(Action::Reverse);
    hear(&mut model, "", &[10, 9, 8]);
    assert_eq!(ids(&model), [8, 9, 10]);
    let column = model.sort.column;
    model.act(Action::Sort(-1));
    model.act(Action::Sort(1));
    assert_eq!(model.sort.column, column);
}

#[test]
fn every_column_is_reached_in_both_directions() {
    for by in [1, -1] {
        let mut model = model();
        let mut seen = Vec::new();
        for _ in COLUMNS {
            assert!(!seen.contains(&model.sort.column));
            seen.push(model.sort.column);
            model.act(Action::Sort(by));
        }
        assert_eq!(model.sort.column, Column::Time);
    }
}

#[test]
fn a_filter_is_asked_for_and_takes_effect_with_its_answer() {
    let mut model = model();
    let then = submit(&mut model, " model:gpt* ");
    assert_eq!(then, Then::Ask(Ask::Filter("model:gpt*".to_owned())));
    assert!(!model.is_writing());
    assert_eq!(model.filter.applied, "");
    hear(&mut model, "model:gpt*", &[7]);
    assert_eq!(model.filter.applied, "model:gpt*");
    assert_eq!(ids(&model), [7]);
}

#[test]
fn a_mistake_in_a_filter_is_shown_until_another_is_accepted() {
    let mut model = model();
    submit(&mut model, "ttft>x");
    model.hear(News::Mistake("ttft>x".to_owned(), mistake()));
    // The one before is still in use.
    hear(&mut model, "", &[9, 8]);
    let (of, shown) = model.filter.mistake.clone().unwrap();
    assert_eq!((&*of, shown), ("ttft>x", mistake()));
    // It is written on.
    model.act(Action::Filter);
    assert_eq!(model.filter.prompt.as_ref().unwrap().text(), "ttft>x");
    model.act(Action::Edit(Edit::DeleteBefore));
    model.act(Action::Edit(Edit::Insert('1')));
    let then = model.act(Action::Edit(Edit::Submit));
    assert_eq!(then, Then::Ask(Ask::Filter("ttft>1".to_owned())));
    assert_eq!(model.filter.mistake, None);
}

#[test]
fn a_mistake_is_left_first_and_the_filter_in_use_is_written_on_then() {
    let mut model = model();
    hear(&mut model, "a", &[9, 8]);
    model.act(Action::Move(1));
    model.hear(News::Mistake("ttft>x".to_owned(), mistake()));
    model.act(Action::Back);
    assert_eq!(model.filter.mistake, None);
    assert!(model.selected().is_some());
    model.act(Action::Filter);
    assert_eq!(model.filter.prompt.as_ref().unwrap().text(), "a");
}

#[test]
fn a_filter_that_is_given_up_changes_nothing() {
    let mut model = model();
    hear(&mut model, "a", &[7]);
    model.act(Action::Filter);
    model.act(Action::Edit(Edit::Insert('b')));
    assert_eq!(model.act(Action::Edit(Edit::Cancel)), Then::Nothing);
    assert_eq!(model.filter.applied, "a");
    assert!(!model.is_writing());
}

#[test]
fn an_exchange_is_opened_and_left_and_its_neighbours_are_one_key_away() {
    let mut model = model();
    assert_eq!(model.act(Action::Open), Then::Ask(Ask::One(9)));
    assert_eq!(model.act(Action::Open), Then::Nothing);
    assert_eq!(model.act(Action::Beside(1)), Then::Ask(Ask::One(8)));
    // One that comes late is not shown as the other.
    model.hear(News::One(9, Box::new(Ok(One::default()))));
    assert!(model.opened().unwrap().facts.is_none());
    model.hear(News::One(8, Box::new(Ok(One::default()))));
    assert!(model.opened().unwrap().facts.is_some());
    model.act(Action::Beside(-1));
    assert_eq!(model.act(Action::Beside(-1)), Then::Nothing);
    assert_eq!(model.opened().unwrap().id, 9);
    model.act(Action::Back);
    assert!(model.opened().is_none());
    assert_eq!(selected_id(&model), Some(9));
}

#[test]
fn scrolling_in_an_exchange_ends_with_its_last_line() {
    let mut model = model();
    model.act(Action::Open);
    let Some(Page::Exchange(opened)) = model.pages.last_mut() else {
        panic!("nothing is opened")
    };
    (opened.lines, opened.window.height) = (10, 4);
    let mut first_after = |action| {
        model.act(action);
        model.opened().unwrap().window.first
    };
    let actions = [
        Action::Move(1),
        Action::Page(1),
        Action::Last,
        Action::Move(-1),
        Action::First,
    ];
    assert_eq!(actions.map(&mut first_after), [1, 5, 6, 5, 0]);
}

#[test]
fn while_it_stands_still_nothing_moves_but_the_connection_is_watched() {
    let mut model = model();
    model.act(Action::Pause);
    hear(&mut model, "", &[20]);
    assert_eq!(ids(&model), [9, 8, 7, 6, 5]);
    model.hear(News::Lost(Problem::Token));
    assert_eq!(model.link, Link::Lost(Problem::Token));
    model.hear(News::InFlight(InFlight {
        count: 3,
        ..InFlight::default()
    }));
    assert_eq!(model.link, Link::Up);
    assert!(model.in_flight.is_none());
    model.act(Action::Pause);
    hear(&mut model, "", &[20]);
    assert_eq!(ids(&model), [20]);
}

#[test]
fn the_first_key_leaves_the_help_and_does_nothing_else() {
    let mut model = model();
    model.act(Action::Help);
    assert_eq!(model.act(Action::Open), Then::Nothing);
    assert!(!model.shows_help && model.opened().is_none());
    model.act(Action::Help);
    assert_eq!(model.act(Action::Quit), Then::Quit);
}

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A conversation of exchanges, oldest first.
fn conversation(exchanges: &[u64]) -> ConversationDetail {
    let turn = |id: &u64| Turn {
        exchange: Row {
            id: *id,
            ..Row::default()
        },
        ..Turn::default()
    };
    ConversationDetail {
        id: Text::new(ID),
        turns: exchanges.iter().map(turn).collect(),
        ..ConversationDetail::default()
    }
}

fn hear_conversation(model: &mut Model, exchanges: &[u64]) {
    let facts = Ok(conversation(exchanges));
    model.hear(News::Conversation(ID.to_owned(), Box::new(facts)));
}

/// A model whose rows 9 to 5 are all of one conversation but the last.
fn model_with_conversation() -> Model {
    let mut model = model();
    for row in &mut model.rows[..4] {
        row.conversation = Some(Text::new(ID));
    }
    model
}

fn watched() -> Then {
    Then::Ask(Ask::Watch(Some(Subject::Conversation(ID.to_owned()))))
}

/// The exchange of the turn that is selected in front.
fn selected_turn(model: &Model) -> Option<u64> {
    let Some(Page::Conversation(page)) = model.pages.last() else {
        panic!("no conversation is in front")
    };
    let turns = &page.facts.as_ref().unwrap().as_ref().unwrap().turns;
    page.turns.at(turns).map(|at| turns[at].exchange.id)
}

fn totals(id: &str, turns: u64) -> Totals {
    Totals {
        id: Text::new(id),
        turns,
        ..Totals::default()
    }
}

fn hear_list(model: &mut Model, all: &[(&str, u64)]) {
    let all = all.iter().map(|(id, turns)| totals(id, *turns));
    model.hear(News::Conversations(Ok(api::Conversations {
        conversations: all.collect(),
        next: None,
    })));
}

fn shown(model: &Model) -> Vec<String> {
    let Some(Page::Conversations(page)) = model.pages.last() else {
        panic!("no table of conversations is in front")
    };
    page.shown.iter().map(|one| one.id.to_string()).collect()
}

#[test]
fn a_row_leads_to_its_conversation_at_its_turn_and_a_turn_to_its_exchange() {
    let mut model = model_with_conversation();
    model.act(Action::Move(1));
    model.act(Action::Move(1));
    assert_eq!(model.act(Action::Conversation), watched());
    hear_conversation(&mut model, &[6, 7, 8, 9]);
    assert_eq!(selected_turn(&model), Some(8));
    model.act(Action::Move(-1));
    assert_eq!(model.act(Action::Open), Then::Ask(Ask::One(7)));
    // Beside it are the turns, not the rows of the table.
    assert_eq!(model.act(Action::Beside(-1)), Then::Ask(Ask::One(6)));
    assert_eq!(model.act(Action::Beside(-1)), Then::Nothing);
    // Back, whichever key leads there, and no deeper.
    assert_eq!(model.act(Action::Conversation), Then::Nothing);
    assert_eq!(selected_turn(&model), Some(6));
    assert_eq!(model.act(Action::Back), Then::Ask(Ask::Watch(None)));
    assert!(model.pages.is_empty());
    assert_eq!(selected_id(&model), Some(8));
}

#[test]
fn an_exchange_leads_to_its_conversation_and_the_way_back_is_the_same() {
    let mut model = model_with_conversation();
    model.act(Action::Open);
    assert_eq!(model.act(Action::Conversation), watched());
    hear_conversation(&mut model, &[8, 9]);
    assert_eq!(model.act(Action::Open), Then::Ask(Ask::One(9)));
    model.act(Action::Back);
    assert_eq!(model.act(Action::Back), Then::Ask(Ask::Watch(None)));
    assert_eq!(model.opened().unwrap().id, 9);
    model.act(Action::Back);
    assert!(model.pages.is_empty());
}

#[test]
fn that_no_conversation_is_known_is_said_until_the_next_key() {
    let mut model = model_with_conversation();
    model.act(Action::Last);
    assert_eq!(model.act(Action::Conversation), Then::Nothing);
    assert!(model.pages.is_empty() && model.notice.is_some());
    model.act(Action::Move(-1));
    assert!(model.notice.is_none());
}

#[test]
fn a_selected_turn_stays_while_others_come_and_without_one_the_newest_is_opened() {
    let mut model = Model::new("http://a".to_owned());
    model.show_conversation(ID);
    assert_eq!(model.subject(), Some(Subject::Conversation(ID.to_owned())));
    assert_eq!(model.act(Action::Open), Then::Nothing);
    hear_conversation(&mut model, &[1, 2, 3]);
    assert_eq!(selected_turn(&model), None);
    assert_eq!(model.act(Action::Open), Then::Ask(Ask::One(3)));
    model.act(Action::Back);
    model.act(Action::First);
    model.act(Action::Move(1));
    // The first one is not kept any more.
    hear_conversation(&mut model, &[2, 3, 4, 5]);
    assert_eq!(selected_turn(&model), Some(2));
    model.act(Action::Last);
    assert_eq!(selected_turn(&model), Some(5));
}

#[test]
fn a_conversation_stands_still_but_one_that_is_not_there_yet_comes() {
    let mut model = model_with_conversation();
    model.act(Action::Pause);
    model.act(Action::Conversation);
    hear_conversation(&mut model, &[9]);
    hear_conversation(&mut model, &[9, 10]);
    model.act(Action::Last);
    assert_eq!(selected_turn(&model), Some(9));
    // One that is not in front any more is not heard.
    model.act(Action::Back);
    hear_conversation(&mut model, &[9, 10]);
    assert!(model.pages.is_empty());
}

#[test]
fn one_key_changes_between_the_tables_and_conversations_of_one_turn_may_be_left_out() {
    let mut model = model();
    let watch = |subject| Then::Ask(Ask::Watch(subject));
    assert_eq!(
        model.act(Action::Tables),
        watch(Some(Subject::Conversations))
    );
    hear_list(&mut model, &[("a", 1), (ID, 4), ("c", 2)]);
    assert_eq!(shown(&model), ["a", ID, "c"]);
    model.act(Action::Several);
    hear_list(&mut model, &[("e", 1), (ID, 4), ("c", 2)]);
    assert_eq!(shown(&model), [ID, "c"]);
    assert_eq!(model.act(Action::Open), watched());
    // The list is watched again behind it; Esc leaves a selection first, and the list then.
    model.act(Action::Back);
    assert_eq!(model.subject(), Some(Subject::Conversations));
    model.act(Action::Move(1));
    model.act(Action::Back);
    assert_eq!(shown(&model), [ID, "c"]);
    assert_eq!(model.act(Action::Back), watch(None));
    assert!(model.pages.is_empty());
    model.act(Action::Tables);
    assert_eq!(model.act(Action::Tables), watch(None));
}

#[test]
fn what_lies_in_front_keeps_the_order_of_the_table_and_a_filter_leads_to_it() {
    let mut model = model();
    model.act(Action::Tables);
    model.act(Action::Sort(1));
    model.act(Action::Reverse);
    assert_eq!(ids(&model), [9, 8, 7, 6, 5]);
    assert_eq!(model.act(Action::Filter), Then::Ask(Ask::Watch(None)));
    assert!(model.is_writing() && model.pages.is_empty());
}

#[test]
fn why_the_conversations_did_not_come_is_kept_until_they_come() {
    let mut model = model();
    model.act(Action::Tables);
    let problem = || News::Conversations(Err(Problem::Unknown("out of order".to_owned())));
    let told = |model: &Model| {
        let Some(Page::Conversations(page)) = model.pages.last() else {
            panic!("no table of conversations is in front")
        };
        page.problem.as_ref().map(ToString::to_string)
    };
    model.hear(problem());
    // What else comes does not take it away.
    model.hear(News::InFlight(InFlight::default()));
    assert_eq!(told(&model).as_deref(), Some("out of order"));
    hear_list(&mut model, &[("a", 1)]);
    assert_eq!(told(&model), None);
    model.hear(problem());
    assert_eq!(shown(&model), ["a"]);
}
