//! Figures of several rounds as lines: the median, and from where to where they go.

/// Prints one figure of all rounds.
pub fn line<R>(rounds: &[R], what: &str, unit: &str, n_decimals: usize, figure: impl Fn(&R) -> f64) {
    let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures[0], figures[figures.len() - 1]);
    let median = (figures[(figures.len() - 1) / 2] + figures[figures.len() / 2]) / 2.0;
    println!("{what:<46} {median:>9.n_decimals$} {unit:<10} ({low:.n_decimals$} to {high:.n_decimals$})");
}
