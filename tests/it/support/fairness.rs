//! How evenly something was shared.

/// Jain's index (Jain, Chiu and Hawe, 1984): 1 when all have the same, 1/n when one has all.
pub(crate) fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[test]
fn the_index_is_one_for_equals_and_small_when_one_has_all() {
    assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-9);
    assert!((jain(&[9.0, 0.0, 0.0]) - 1.0 / 3.0).abs() < 1e-9);
}
