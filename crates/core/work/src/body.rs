//! An item as its maker described it, packed: a million of them wait in memory.

use crate::command::{NewItem, WaitsFor};
use crate::progress::Progress;
use capstan_ids::{GroupName, ItemId, Kind, LimitName, WallTime};
use minicbor::data::Type;
use minicbor::{Decode, Encode};
use std::fmt;

/// The immutable part of an item in one allocation: the length of the id, the id, then the rest as CBOR.
///
/// The same bytes stand in the journal, in snapshots and in memory, so nothing is encoded twice.
#[derive(Clone, PartialEq, Eq)]
pub struct ItemBody(Box<[u8]>);

/// What there is to know of an item that nothing ties to others or to a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// What sort of work it is.
    pub kind: &'a str,
    /// Higher goes first.
    pub priority: i16,
}

#[derive(Encode, Decode)]
struct Rest<'a> {
    #[n(0)]
    documents: u64,
    #[n(1)]
    bytes: u64,
    #[b(2)]
    kind: &'a str,
    #[b(3)]
    index_name: &'a str,
    #[n(4)]
    shard_number: u32,
    #[n(5)]
    priority: i16,
    #[n(6)]
    not_before: Option<WallTime>,
    #[b(7)]
    payload: Option<&'a str>,
    #[n(8)]
    more: Option<Box<More>>,
}

/// What few items have.
#[derive(Encode, Decode)]
struct More {
    #[n(0)]
    groups: Vec<GroupName>,
    #[n(1)]
    waits_for: Vec<Awaited>,
    #[n(2)]
    limits: Vec<LimitName>,
    #[n(3)]
    undo: bool,
}

#[derive(Encode, Decode)]
enum Awaited {
    #[n(0)]
    Group(#[n(0)] GroupName),
    #[n(1)]
    Item(#[n(0)] ItemId),
}

const LENGTH: usize = 2;
const SOUND: &str = "bodies are made by `pack` or checked when they are decoded";

impl ItemBody {
    /// Packs a description.
    pub fn pack(item: &NewItem) -> Self {
        let more = !item.groups.is_empty() || !item.waits_for.is_empty() || !item.limits.is_empty() || item.undo;
        let rest = Rest {
            documents: item.document_count,
            bytes: item.total_size_bytes,
            kind: item.kind.as_str(),
            index_name: &item.index_name,
            shard_number: item.shard_number,
            priority: item.priority,
            not_before: item.not_before,
            payload: item.payload.as_deref(),
            more: more.then(|| {
                Box::new(More {
                    groups: item.groups.clone(),
                    waits_for: item.waits_for.iter().map(awaited).collect(),
                    limits: item.limits.clone(),
                    undo: item.undo,
                })
            }),
        };
        let id = item.id.as_str().as_bytes();
        // Packed elsewhere and copied to its exact size: shrinking in place would leave a hole beside every item.
        let mut bytes = Vec::with_capacity(1_024 + item.payload.as_ref().map_or(0, |p| p.len()));
        bytes.extend_from_slice(&(id.len() as u16).to_le_bytes());
        bytes.extend_from_slice(id);
        minicbor::encode(&rest, &mut bytes).expect("writing to a vector cannot fail");
        Self(Box::from(bytes.as_slice()))
    }

    /// The item's id.
    pub fn id(&self) -> &str {
        std::str::from_utf8(&self.0[LENGTH..self.rest_start()]).expect(SOUND)
    }

    /// Whether that is the item's id.
    pub fn has_id(&self, id: &str) -> bool {
        &self.0[LENGTH..self.rest_start()] == id.as_bytes()
    }

    /// What is expected of it.
    pub fn expected(&self) -> Progress {
        let mut decoder = minicbor::Decoder::new(&self.0[self.rest_start()..]);
        decoder.array().expect(SOUND);
        Progress { documents: decoder.u64().expect(SOUND), bytes: decoder.u64().expect(SOUND) }
    }

    /// Whether the item is as most are: of a kind, with a priority, and nothing that ties it to others or to a time.
    ///
    /// Reads without copying: this is asked of every item that is added.
    pub fn plain(&self) -> Option<Plain<'_>> {
        let mut rest = minicbor::Decoder::new(&self.0[self.rest_start()..]);
        let fields = rest.array().expect(SOUND)?;
        rest.skip().expect(SOUND);
        rest.skip().expect(SOUND);
        let kind = rest.str().expect(SOUND);
        rest.skip().expect(SOUND);
        rest.skip().expect(SOUND);
        let priority = rest.i16().expect(SOUND);
        // Absent fields at the end are not written at all.
        if fields > 6 && rest.datatype().expect(SOUND) != Type::Null || fields > 8 {
            return None;
        }
        Some(Plain { kind, priority })
    }

    /// Whether it becomes pending only when its session is cancelled.
    pub fn is_undo(&self) -> bool {
        self.unpack().undo
    }

    /// The description again.
    pub fn unpack(&self) -> NewItem {
        Self::try_unpack(&self.0).expect(SOUND)
    }

    /// The first field in which another description differs.
    pub fn difference(&self, other: &Self) -> Option<&'static str> {
        if self == other {
            return None;
        }
        let (ours, theirs) = (self.unpack(), other.unpack());
        let fields = [
            ("kind", ours.kind == theirs.kind),
            ("index_name", ours.index_name == theirs.index_name),
            ("shard_number", ours.shard_number == theirs.shard_number),
            ("document_count", ours.document_count == theirs.document_count),
            ("total_size_bytes", ours.total_size_bytes == theirs.total_size_bytes),
            ("priority", ours.priority == theirs.priority),
            ("not_before", ours.not_before == theirs.not_before),
            ("groups", ours.groups == theirs.groups),
            ("waits_for", ours.waits_for == theirs.waits_for),
            ("limits", ours.limits == theirs.limits),
            ("undo", ours.undo == theirs.undo),
            ("payload", ours.payload == theirs.payload),
        ];
        fields.into_iter().find(|(_, same)| !same).map(|(field, _)| field)
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn rest_start(&self) -> usize {
        LENGTH + usize::from(u16::from_le_bytes([self.0[0], self.0[1]]))
    }

    /// Whether bytes are a body, without copying anything out of them: a million are read back at every start.
    fn check(bytes: &[u8]) -> Result<(), minicbor::decode::Error> {
        let (id, rest) = Self::split(bytes)?;
        match ItemId::is_valid(id) && Kind::is_valid(rest.kind) {
            true => Ok(()),
            false => Err(minicbor::decode::Error::message("an item body names no valid item or kind")),
        }
    }

    fn split(bytes: &[u8]) -> Result<(&str, Rest<'_>), minicbor::decode::Error> {
        let bad = || minicbor::decode::Error::message("an item body is cut short");
        let length = bytes.get(..LENGTH).ok_or_else(bad)?;
        let end = LENGTH + usize::from(u16::from_le_bytes([length[0], length[1]]));
        let id =
            std::str::from_utf8(bytes.get(LENGTH..end).ok_or_else(bad)?).map_err(minicbor::decode::Error::message)?;
        Ok((id, minicbor::decode(&bytes[end..])?))
    }

    fn try_unpack(bytes: &[u8]) -> Result<NewItem, minicbor::decode::Error> {
        let (id, rest) = Self::split(bytes)?;
        let more =
            rest.more.map_or(More { groups: vec![], waits_for: vec![], limits: vec![], undo: false }, |more| *more);
        Ok(NewItem {
            id: ItemId::new(id).map_err(minicbor::decode::Error::message)?,
            kind: Kind::new(rest.kind).map_err(minicbor::decode::Error::message)?,
            index_name: rest.index_name.into(),
            shard_number: rest.shard_number,
            document_count: rest.documents,
            total_size_bytes: rest.bytes,
            priority: rest.priority,
            not_before: rest.not_before,
            groups: more.groups,
            waits_for: more.waits_for.into_iter().map(waits_for).collect(),
            limits: more.limits,
            undo: more.undo,
            payload: rest.payload.map(Into::into),
        })
    }
}

fn awaited(wait: &WaitsFor) -> Awaited {
    match wait {
        WaitsFor::Group(group) => Awaited::Group(group.clone()),
        WaitsFor::Item(item) => Awaited::Item(item.clone()),
    }
}

fn waits_for(awaited: Awaited) -> WaitsFor {
    match awaited {
        Awaited::Group(group) => WaitsFor::Group(group),
        Awaited::Item(item) => WaitsFor::Item(item),
    }
}

impl fmt::Debug for ItemBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.unpack(), f)
    }
}

impl<C> Encode<C> for ItemBody {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ItemBody {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        Self::check(bytes)?;
        Ok(Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_item_unpacks_to_itself() {
        let mut item = NewItem::new(ItemId::new("orders/$7 ü").unwrap());
        item.document_count = u64::MAX;
        item.payload = Some("{\"a\":1}".into());
        item.waits_for =
            vec![WaitsFor::Item(ItemId::new("plan").unwrap()), WaitsFor::Group(GroupName::new("unit").unwrap())];
        item.not_before = Some(WallTime(5));

        let body = ItemBody::pack(&item);

        assert_eq!(body.unpack(), item);
        assert_eq!(body.id(), "orders/$7 ü");
        assert_eq!(body.expected(), Progress { documents: u64::MAX, bytes: 0 });
    }

    #[test]
    fn an_item_is_plain_that_nothing_ties() {
        let plain = NewItem { payload: Some("{}".into()), priority: -3, ..NewItem::new(ItemId::new("a").unwrap()) };
        assert_eq!(ItemBody::pack(&plain).plain(), Some(Plain { kind: "backfill", priority: -3 }));
        assert_eq!(ItemBody::pack(&NewItem { payload: None, ..plain.clone() }).plain().map(|p| p.priority), Some(-3));

        let group = GroupName::new("g").unwrap();
        for tied in [
            NewItem { not_before: Some(WallTime(1)), ..plain.clone() },
            NewItem { groups: vec![group.clone()], ..plain.clone() },
            NewItem { waits_for: vec![WaitsFor::Group(group)], ..plain.clone() },
            NewItem { limits: vec![LimitName::new("host").unwrap()], ..plain.clone() },
            NewItem { undo: true, payload: None, ..plain.clone() },
        ] {
            assert_eq!(ItemBody::pack(&tied).plain(), None, "{tied:?}");
        }
    }

    #[test]
    fn the_differing_field_is_named() {
        let mut item = NewItem::new(ItemId::new("a").unwrap());
        let first = ItemBody::pack(&item);
        item.shard_number = 3;
        assert_eq!(first.difference(&ItemBody::pack(&item)), Some("shard_number"));
        assert_eq!(first.difference(&first), None);
    }

    #[test]
    fn bytes_that_are_no_body_are_refused() {
        let whole = minicbor::to_vec(ItemBody::pack(&NewItem::new(ItemId::new("a").unwrap()))).unwrap();
        for cut in 0..whole.len() {
            assert!(minicbor::decode::<ItemBody>(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(minicbor::decode::<ItemBody>(&whole).is_ok());
    }
}
