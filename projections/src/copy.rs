//! [`NewRows`]: rows on their way into a table by COPY, which takes them as they are: no arrays are made into rows first.

use crate::ProjectionError;
use sqlx::{Encode, PgConnection, Postgres, encode::IsNull, error::BoxDynError, postgres::PgArgumentBuffer};

/// The binary format opens with its signature, flags and the length of what else the header holds: none of both.
const HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Where another row would tell how many fields it has.
const END: [u8; 2] = (-1_i16).to_be_bytes();

/// Fields go as they are encoded: nothing casts them, so each has to be of its column's very type.
pub(crate) struct NewRows<const FIELDS: usize> {
    columns: [&'static str; FIELDS],
    buffer: PgArgumentBuffer,
    /// What could not be encoded, told before anything is sent.
    failed: Option<BoxDynError>,
}

impl<const FIELDS: usize> NewRows<FIELDS> {
    pub(crate) fn of(columns: [&'static str; FIELDS]) -> Self {
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(HEADER);
        Self { columns, buffer, failed: None }
    }

    /// Begins a row. Its fields follow in the order of the columns.
    pub(crate) fn row(&mut self) -> &mut Self {
        let fields = i16::try_from(FIELDS).unwrap_or(i16::MAX);
        self.buffer.extend_from_slice(&fields.to_be_bytes());
        self
    }

    pub(crate) fn field<'q>(&mut self, value: impl Encode<'q, Postgres>) -> &mut Self {
        if let Err(error) = self.encode(value) {
            self.failed.get_or_insert(error);
        }
        self
    }

    fn encode<'q>(&mut self, value: impl Encode<'q, Postgres>) -> Result<(), BoxDynError> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 4]);
        let length = match value.encode(&mut self.buffer)? {
            IsNull::Yes => -1,
            IsNull::No => i32::try_from(self.buffer.len() - start - 4)?,
        };
        self.buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    pub(crate) async fn copy_into(mut self, tx: &mut PgConnection, table: &str) -> Result<(), ProjectionError> {
        if let Some(error) = self.failed {
            return Err(sqlx::Error::Encode(error).into());
        }
        self.buffer.extend_from_slice(&END);
        let statement = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", self.columns.join(", "));
        let mut copy = tx.copy_in_raw(&statement).await?;
        copy.send(self.buffer.as_slice()).await?;
        copy.finish().await?;
        Ok(())
    }
}
