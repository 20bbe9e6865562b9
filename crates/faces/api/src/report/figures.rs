//! Figures as people read them, at the terminal and on a page alike.

/// `1 document`, `2 documents`.
pub fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that shows three digits.
pub fn size(bytes: u64) -> String {
    let mut figure = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if figure < 1_000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{figure:.1} {unit}") };
        }
        figure /= 1_024.0;
    }
    format!("{figure:.1} TiB")
}

/// A time in the two units that matter.
pub(super) fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
