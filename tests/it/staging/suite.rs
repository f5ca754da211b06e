//! The conformance suite, engine by engine. A second engine adds one line at the end.

use super::bounds::*;
use super::conformance::*;
use super::decisions::*;
use super::meanwhile::*;
use super::operations::*;
use super::tables::*;

/// The suite for one engine: `$make` answers a fresh, empty staging.
macro_rules! conformance {
    ($engine:ident, $make:path: $($case:ident,)+) => {
        mod $engine {
            $(#[test]
            fn $case() {
                let (staging, _alive) = $make();
                super::super::support::block_on(super::$case(staging));
            })+
        }
    };
}

conformance! { sqlite, super::super::support::sqlite:
    every_question_about_an_unknown_resource_says_so,
    documents_are_new_then_unchanged_then_changed,
    resources_do_not_see_each_other,
    a_batch_that_does_not_fit_is_refused_whole,
    a_file_is_known_by_path_size_and_content,
    a_file_has_a_number_that_counts_once_it_is_staged,
    runs_are_closed_by_their_end_or_by_the_next,
    a_resource_is_locked_by_one_run,
    a_bad_record_is_one_dead_letter,
    dead_letters_are_found_by_each_mark,
    findings_about_one_place_stay_apart,
    a_replay_settles_its_letter_and_leaves_the_file_alone,
    api_keys_are_found_by_hash_until_revoked,
    lists_filter_by_every_operator_and_type,
    lists_sort_nulls_first_upwards_and_last_downwards,
    a_question_that_does_not_fit_is_refused,
    declared_fields_follow_the_mapping,
    what_is_ensured_stays_as_it_is,
    a_page_has_so_many_bytes_at_most,
    a_bounded_reader_knows_of_what_it_may_see_only,
    a_bounded_reader_hears_what_goes_out_of_its_sight,
    a_bounded_feed_is_read_on_from_where_it_was_left,
    fields_that_bound_readers_may_be_declared_later,
    a_decision_and_its_audit_are_one,
    a_decision_on_top_of_another_is_refused,
    the_audit_is_paged_from_the_newest,
    a_key_names_one_operation,
    many_at_once_begin_one,
    steps_are_taken_from_where_it_stands,
    what_was_not_begun_may_be_tried_again,
    broken_calls_are_unknown_and_the_rest_is_seen_to,
    a_person_resolves_what_nobody_knows,
    what_is_over_is_removed_in_time,
    what_its_backend_has_not_is_deleted,
    an_older_reading_does_not_bring_back_what_is_deleted,
    a_write_makes_what_was_said_before_outdated,
}
