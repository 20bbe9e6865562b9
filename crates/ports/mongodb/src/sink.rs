//! The port for writing.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use capstan_endpoint::{
    Checkpoint, ChunkFacts, ChunkWriter, EndpointError, IndexTime, Mend, Occupancy, PartKey, Result, Scan, SetAside,
    Sink, SinkAbilities, Source, Unit, UnitKind, Whereabouts, WritePlan,
};

use crate::indexes;
use crate::listing;
use crate::marks::Marks;
use crate::mender::MongoMender;
use crate::prepare;
use crate::server::Server;
use crate::source::MongoSource;
use crate::uncut::is_capped;
use crate::whereabouts;
use crate::write::Target;
use crate::writer::MongoWriter;

/// Collections of a deployment, written by one job.
#[derive(Debug)]
pub(crate) struct MongoSink {
    server: Server,
    marks: Marks,
}

impl MongoSink {
    pub fn new(server: Server, job: &str) -> Self {
        // A target's address names a database only for its credentials.
        let server = server.of_all_databases();
        let marks = Marks::of(server.clone(), job);
        Self { server, marks }
    }

    fn target(&self, unit: &Unit) -> Target {
        Target {
            server: self.server.clone(),
            database: unit.namespace.database.clone(),
            collection: listing::stored_in(unit),
        }
    }
}

#[async_trait]
impl Sink for MongoSink {
    fn place(&self) -> String {
        self.server.place().into()
    }

    fn abilities(&self) -> SinkAbilities {
        SinkAbilities {
            ordered_ranges: true,
            write_by_id: true,
            scan: Scan::AfterUnit,
            definitions: self.server.keeps_definitions,
            exact_bytes: self.server.keeps_values,
            mends: true,
        }
    }

    async fn whereabouts(&self) -> Result<Whereabouts> {
        Ok(whereabouts::of(&self.server).await)
    }

    async fn leave_trace(&self, unit: &Unit) -> Result<Option<String>> {
        whereabouts::leave_trace(&self.server, unit).await.map(Some)
    }

    async fn erase_trace(&self, trace: &str) -> Result<()> {
        whereabouts::erase_trace(&self.server, trace).await
    }

    async fn occupancy(&self, unit: &Unit) -> Result<Occupancy> {
        prepare::occupancy(&self.server, unit).await
    }

    async fn prepare(&self, unit: &Unit, plan: &WritePlan) -> Result<Vec<SetAside>> {
        prepare::prepare(&self.server, &self.marks, unit, plan).await
    }

    async fn open_chunk(
        &self,
        unit: &Unit,
        part: &PartKey,
        resume: Option<&Checkpoint>,
    ) -> Result<Box<dyn ChunkWriter>> {
        // A capped collection is read in the order in which it was written.
        let in_order = is_capped(unit);
        Ok(Box::new(MongoWriter::open(self.target(unit), in_order, part, resume)?))
    }

    async fn finish_unit(&self, unit: &Unit, plan: &WritePlan, _: &[ChunkFacts]) -> Result<Vec<SetAside>> {
        let set_aside = if plan.indexes == IndexTime::After && unit.kind != UnitKind::View {
            indexes::build(&self.server, unit).await?
        } else {
            Vec::new()
        };
        self.marks.put(unit, plan.mode, true).await?;
        Ok(set_aside)
    }

    async fn finish_job(&self, units: &[Unit]) -> Result<()> {
        let databases: BTreeSet<&str> = units.iter().map(|unit| unit.namespace.database.as_str()).collect();
        for database in databases {
            self.marks.clear(database).await?;
        }
        Ok(())
    }

    async fn abandon(&self) -> Result<()> {
        self.marks.abandon().await
    }

    async fn forget(&self) -> Result<()> {
        whereabouts::forget(&self.server, &self.marks).await
    }

    async fn scan(&self) -> Result<Arc<dyn Source>> {
        Ok(Arc::new(MongoSource::new(self.server.clone())))
    }

    async fn mender(&self, unit: &Unit) -> Result<Box<dyn Mend>> {
        prepare::check(&self.server, &unit.namespace)?;
        if unit.kind == UnitKind::View {
            let what = format!("mending {}", unit.namespace);
            return Err(EndpointError::unsupported(what, self.place(), "a view has no documents of its own"));
        }
        Ok(Box::new(MongoMender(self.target(unit))))
    }
}
