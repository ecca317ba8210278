//! `peers-summary FILE [BASE FIGURE...]`: reads lines of the form `TABLE NAME figure=value ...`, one a round and name, and prints each
//! table as Markdown: the median of the rounds, least and most behind it. With BASE, a row's name, the named figures get the
//! median of the ratios to that row, too, round by round, for what disturbs one round disturbs both.

use std::collections::BTreeMap;
use std::error::Error;

/// Values by figure, in the order of the rounds.
type Row = BTreeMap<String, Vec<String>>;

#[derive(Default)]
struct Table {
    /// Names and figures as they first appear.
    names: Vec<String>,
    figures: Vec<String>,
    rows: BTreeMap<String, Row>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let file = words.next().ok_or("say which file")?;
    let base = words.next();
    let compared: Vec<String> = words.collect();
    let mut order = Vec::new();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for line in std::fs::read_to_string(file)?.lines() {
        let mut words = line.split_whitespace();
        let (Some(table), Some(name)) = (words.next(), words.next()) else { continue };
        if !tables.contains_key(table) {
            order.push(table.to_owned());
        }
        tables.entry(table.to_owned()).or_default().add(name, words);
    }
    for title in order {
        println!("\n{title}\n\n{}", tables[&title].markdown(base.as_deref(), &compared));
    }
    Ok(())
}

impl Table {
    fn add<'a>(&mut self, name: &str, figures: impl Iterator<Item = &'a str>) {
        if !self.rows.contains_key(name) {
            self.names.push(name.to_owned());
        }
        let row = self.rows.entry(name.to_owned()).or_default();
        for (figure, value) in figures.filter_map(|pair| pair.split_once('=')) {
            if !self.figures.iter().any(|known| known == figure) {
                self.figures.push(figure.to_owned());
            }
            row.entry(figure.to_owned()).or_default().push(value.to_owned());
        }
    }

    fn markdown(&self, base: Option<&str>, compared: &[String]) -> String {
        let mut text =
            format!("| |{}\n|---|", self.figures.iter().map(|it| format!(" {it} |")).collect::<String>());
        text += &"---|".repeat(self.figures.len());
        for name in &self.names {
            text += &format!("\n| {name} |");
            for figure in &self.figures {
                let base = base.filter(|_| compared.contains(figure));
                let base = base.and_then(|base| self.rows.get(base)?.get(figure));
                let values = self.rows[name].get(figure);
                text += &format!(" {} |", values.map_or(String::new(), |values| cell(values, base)));
            }
        }
        text
    }
}

/// Median, range and ratio; what is no number is shown as it came last.
fn cell(values: &[String], base: Option<&Vec<String>>) -> String {
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.parse().ok()).collect();
    let (Some(last), true) = (values.last(), numbers.len() == values.len()) else {
        return values.last().cloned().unwrap_or_default();
    };
    // As many decimals as the values have.
    let decimals = last.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let sorted = sorted(numbers.clone());
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    let mut text = format!("{:.decimals$}", median(&sorted));
    if values.len() > 1 {
        text += &format!(" ({least:.decimals$}-{most:.decimals$})");
    }
    let ratios: Vec<f64> = base
        .into_iter()
        .flatten()
        .zip(numbers)
        .filter_map(|(base, number)| Some(number / base.parse::<f64>().ok().filter(|base| *base > 0.0)?))
        .collect();
    if !ratios.is_empty() {
        text += &format!(", x{:.2}", median(&self::sorted(ratios)));
    }
    text
}

fn sorted(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// Of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_median_range_and_paired_ratio() {
        let values = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cell(&values("3.00"), None), "3.00");
        assert_eq!(cell(&values("9 1 2"), None), "2 (1-9)");
        // Round by round the ratios are 2, 2, 2; the medians' ratio would be the same, the ranges' would not.
        assert_eq!(cell(&values("8 2 4"), Some(&values("4 1 2"))), "4 (2-8), x2.00");
        assert_eq!(cell(&values("true true"), None), "true");
        assert_eq!(cell(&values("1 2"), Some(&values("0 0"))), "2 (1-2)");
    }
}
