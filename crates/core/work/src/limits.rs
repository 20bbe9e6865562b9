//! How many live leases there are by name, and how many there may be.

use crate::policy::LimitValue;
use capstan_ids::LimitName;
use hashbrown::HashMap;

/// The name that every lease counts against.
pub(crate) const GLOBAL: &str = "global";

/// Names to counts; a name has a place once anything counted against it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    places: HashMap<LimitName, u32>,
    list: Vec<Limit>,
    /// How many names have a limit: with none, nothing need be looked up.
    limited: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub name: LimitName,
    pub most: Option<LimitValue>,
    pub live: u32,
}

impl Limits {
    pub fn place(&mut self, name: &LimitName) -> u32 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = self.list.len() as u32;
        self.list.push(Limit { name: name.clone(), most: None, live: 0 });
        self.places.insert(name.clone(), place);
        place
    }

    pub fn find(&self, name: &LimitName) -> Option<&Limit> {
        self.places.get(name).map(|place| &self.list[*place as usize])
    }

    pub fn at(&self, place: u32) -> &Limit {
        &self.list[place as usize]
    }

    pub fn set(&mut self, name: &LimitName, most: Option<LimitValue>) {
        let place = self.place(name) as usize;
        let before = std::mem::replace(&mut self.list[place].most, most);
        self.limited = self.limited + u32::from(most.is_some()) - u32::from(before.is_some());
    }

    pub fn any_limited(&self) -> bool {
        self.limited > 0
    }

    /// How many more leases a name takes; no limit is no end of them.
    pub fn room(&self, place: u32) -> u32 {
        let limit = self.at(place);
        limit.most.map_or(u32::MAX, |most| most.get().saturating_sub(limit.live))
    }

    pub fn granted(&mut self, place: u32) {
        self.list[place as usize].live += 1;
    }

    pub fn ended(&mut self, place: u32) {
        let limit = &mut self.list[place as usize];
        debug_assert!(limit.live > 0, "more leases ended than were granted under {}", limit.name);
        limit.live -= 1;
    }

    pub fn iter(&self) -> impl Iterator<Item = &Limit> {
        self.list.iter()
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }
}
