//! Makes a unit ready to be written.

use bson::doc;
use capstan_endpoint::{
    EndpointError, IndexTime, Namespace, Occupancy, Result, SetAside, Unit, UnitKind, WriteMode, WritePlan,
};

use crate::definition;
use crate::indexes;
use crate::listing::{self, Found};
use crate::marks::{self, Marks};
use crate::range::raw;
use crate::server::Server;

/// What lies where a unit is to be written.
pub(crate) async fn occupancy(server: &Server, unit: &Unit) -> Result<Occupancy> {
    check(server, &unit.namespace)?;
    look(server, unit).await.map(|(_, occupancy)| occupancy)
}

async fn look(server: &Server, unit: &Unit) -> Result<(Option<Found>, Occupancy)> {
    let Namespace { database, collection } = &unit.namespace;
    let found = listing::collections(server, database, Some(collection)).await?.into_iter().next();
    let occupied = |holds: &str| Occupancy::Occupied { holds: holds.into() };
    let occupancy = match &found {
        None => Occupancy::Vacant,
        Some(found) if found.kind == UnitKind::View => {
            // The same definition again changes nothing.
            let same = unit.kind == UnitKind::View && definition::differing(unit, found).is_empty();
            if same { Occupancy::Vacant } else { occupied("a view of that name is there") }
        }
        Some(_) => {
            let find = doc! { "find": collection, "limit": 1, "projection": { "_id": 1 } };
            let some = server.gather(database, raw(&find), "looking whether a collection is empty").await?;
            if some.is_empty() { Occupancy::Vacant } else { occupied("it holds documents") }
        }
    };
    Ok((found, occupancy))
}

/// Refuses, drops or keeps what is there, and creates what must exist first.
pub(crate) async fn prepare(server: &Server, marks: &Marks, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
    check(server, &unit.namespace)?;
    let (mut found, occupancy) = look(server, unit).await?;
    let Namespace { database, collection } = &unit.namespace;
    match (plan.mode, occupancy) {
        (WriteMode::FailIfExists, Occupancy::Occupied { holds }) if !marks.has(&unit.namespace).await? => {
            return Err(EndpointError::Occupied { what: unit.namespace.to_string(), holds });
        }
        (WriteMode::Overwrite, _) if found.is_some() => {
            marks.put(unit, plan.mode, false).await?;
            marks::drop_before(server, database, collection, plan.deadline).await?;
            found = None;
        }
        _ => marks.put(unit, plan.mode, false).await?,
    }
    let mut set_aside = match &found {
        // It may have been made beforehand on purpose, to be sharded or with a validator: it stays as it is.
        Some(found) => definition::differing(unit, found),
        None => definition::create(server, unit).await?,
    };
    if plan.indexes == IndexTime::Before && unit.kind != UnitKind::View {
        set_aside.extend(indexes::build(server, unit).await?);
    }
    Ok(set_aside)
}

/// Refuses names that no server takes. Others are the server's to judge.
pub(crate) fn check(server: &Server, namespace: &Namespace) -> Result<()> {
    let Namespace { database, collection } = namespace;
    let fault = if database.is_empty() || database.len() > 63 {
        "the name of a database has 1 to 63 bytes"
    } else if database.contains(['/', '\\', '.', ' ', '"', '$', '\0']) {
        "the name of a database holds none of / \\ . \" $, space and NUL"
    } else if collection.is_empty() || collection.contains('\0') {
        "the name of a collection is not empty and holds no NUL"
    } else if collection.starts_with("system.") {
        "names that begin with `system.` are the server's own"
    } else {
        return Ok(());
    };
    Err(EndpointError::unsupported(format!("the name {namespace}"), server.place(), format!("{fault}; rename it")))
}
