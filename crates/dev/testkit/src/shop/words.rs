//! Words that names and texts are made of. Any likeness to people and firms is chance.

use crate::Random;

pub(super) const FIRST: [&str; 24] = [
    "Ada", "Bela", "Cem", "Dana", "Edda", "Falk", "Gwen", "Hava", "Ivo", "Jori", "Kaja", "Lio", "Mika", "Nela", "Oda",
    "Pau", "Quin", "Runa", "Siv", "Tamo", "Una", "Veit", "Wim", "Yara",
];
const SYLLABLES: [&str; 20] = [
    "al", "ber", "cor", "dun", "el", "far", "gril", "hol", "im", "jas", "kel", "lom", "mar", "nor", "ost", "pel",
    "quar", "ron", "sil", "tav",
];
const ENDINGS: [&str; 12] =
    ["ander", "berg", "dottir", "ez", "feld", "i", "kova", "man", "oğlu", "son", "stad", "yama"];
pub(super) const CITIES: [(&str, &str, f64, f64); 12] = [
    ("Altenmoor", "DE", 9.9, 53.4),
    ("Brighaven", "GB", -1.1, 51.2),
    ("Côte-Noire", "FR", 2.2, 46.9),
    ("Dalsjö", "SE", 15.4, 60.1),
    ("Elmira Falls", "US", -93.2, 44.8),
    ("Fukazawa", "JP", 138.9, 36.1),
    ("Ghentrode", "BE", 3.8, 51.0),
    ("Horní Lhota", "CZ", 15.9, 49.5),
    ("Isla Verde", "ES", -4.1, 37.2),
    ("Joensalmi", "FI", 28.1, 62.4),
    ("Κάτω Πόλη", "GR", 22.8, 38.4),
    ("Lagoa Nova", "BR", -47.5, -21.3),
];
pub(super) const THINGS: [&str; 18] = [
    "Lamp", "Chair", "Kettle", "Bicycle", "Notebook", "Tent", "Radio", "Blanket", "Clock", "Rucksack", "Camera",
    "Teapot", "Shelf", "Drum", "Compass", "Umbrella", "Puzzle", "Lantern",
];
pub(super) const QUALITIES: [&str; 14] = [
    "Amber", "Brave", "Calm", "Dusty", "Early", "Folding", "Gentle", "Heavy", "Ivory", "Jolly", "Quiet", "Round",
    "Sturdy", "Winter",
];
pub(super) const MAKERS: [&str; 8] =
    ["Orvel & Tamm", "Nordkiel Works", "Padua Brass", "Lumo", "Hark Brothers", "Siltbrook", "Weide 9", "Zanfar"];
const PROSE: [&str; 40] = [
    "the", "a", "it", "we", "was", "is", "and", "but", "not", "very", "good", "late", "box", "colour", "came", "broke",
    "works", "well", "after", "week", "daughter", "loves", "cheap", "solid", "light", "returned", "again", "would",
    "buy", "never", "arrived", "wrapped", "schön", "génial", "ok", "perfect", "size", "smaller", "than", "expected",
];

/// A family name.
pub(super) fn family(random: &mut Random) -> String {
    let begin = random.pick(&SYLLABLES);
    let middle = if random.chance(40) { random.pick(&SYLLABLES) } else { "" };
    let mut name = format!("{begin}{middle}{}", random.pick(&ENDINGS));
    name[..1].make_ascii_uppercase();
    name
}

/// So many words, as people write in reviews.
pub(super) fn prose(random: &mut Random, words: u64) -> String {
    let mut text = String::with_capacity(words as usize * 7);
    for word in 0..words {
        if word > 0 {
            text.push(' ');
        }
        text.push_str(random.pick(&PROSE));
    }
    text
}
