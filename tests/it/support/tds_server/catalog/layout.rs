//! The columns of the catalog's tables.

use crate::support::tds_server::schema::ColumnDef;
use crate::support::tds_server::value::collation::Collation;
use crate::support::tds_server::value::types::SqlType;
use crate::support::tds_server::wire::tokens::Column;

/// Its tables with their columns: `name type, ...`; `n` is sysname, `i` int, `b` bit, `t` tinyint, `s` smallint, `l`
/// bigint, `d` datetime, `x` nvarchar(4000), `c` char(2), `v` binary(10).
pub(super) const TABLES: &[(&str, &str, &str)] = &[
    ("sys", "schemas", "name n, schema_id i, principal_id i"),
    (
        "sys",
        "databases",
        "name n, database_id i, collation_name n, compatibility_level t, snapshot_isolation_state t, \
         snapshot_isolation_state_desc n, is_read_committed_snapshot_on b, is_cdc_enabled b, user_access t, user_access_desc n, \
         state t, state_desc n, is_read_only b, create_date d",
    ),
    (
        "sys",
        "types",
        "name n, system_type_id t, user_type_id i, schema_id i, max_length s, precision t, scale t, collation_name n, \
         is_nullable b, is_user_defined b, is_assembly_type b, is_table_type b",
    ),
    (
        "sys",
        "objects",
        "name n, object_id i, principal_id i, schema_id i, parent_object_id i, type c, type_desc n, create_date d, \
         modify_date d, is_ms_shipped b",
    ),
    (
        "sys",
        "tables",
        "name n, object_id i, schema_id i, type c, type_desc n, create_date d, modify_date d, is_ms_shipped b, \
         is_tracked_by_cdc b, temporal_type t, is_memory_optimized b, is_external b",
    ),
    (
        "sys",
        "views",
        "name n, object_id i, schema_id i, type c, type_desc n, create_date d, modify_date d, is_ms_shipped b",
    ),
    (
        "sys",
        "procedures",
        "name n, object_id i, schema_id i, type c, type_desc n, create_date d, modify_date d, is_ms_shipped b",
    ),
    (
        "sys",
        "parameters",
        "object_id i, name n, parameter_id i, system_type_id t, user_type_id i, max_length s, precision t, scale t, \
         is_output b, has_default_value b",
    ),
    (
        "sys",
        "columns",
        "object_id i, name n, column_id i, system_type_id t, user_type_id i, max_length s, precision t, scale t, \
         collation_name n, is_nullable b, is_ansi_padded b, is_rowguidcol b, is_identity b, is_computed b, is_sparse b, \
         is_column_set b, is_hidden b, default_object_id i, generated_always_type t",
    ),
    ("sys", "computed_columns", "object_id i, name n, column_id i, definition x, is_persisted b"),
    ("sys", "identity_columns", "object_id i, name n, column_id i"),
    (
        "sys",
        "indexes",
        "object_id i, name n, index_id i, type t, type_desc n, is_unique b, is_primary_key b, is_unique_constraint b, \
         is_disabled b, has_filter b, filter_definition x, is_hypothetical b",
    ),
    (
        "sys",
        "index_columns",
        "object_id i, index_id i, index_column_id i, column_id i, key_ordinal t, partition_ordinal t, is_descending_key b, \
         is_included_column b",
    ),
    (
        "sys",
        "key_constraints",
        "name n, object_id i, schema_id i, parent_object_id i, type c, type_desc n, unique_index_id i, is_system_named b",
    ),
    ("sys", "foreign_keys", "name n, object_id i, parent_object_id i, referenced_object_id i"),
    ("sys", "extended_properties", "class t, major_id i, minor_id i, name n, value x"),
    (
        "sys",
        "change_tracking_databases",
        "database_id i, is_auto_cleanup_on b, retention_period i, retention_period_units t, retention_period_units_desc n",
    ),
    (
        "cdc",
        "change_tables",
        "object_id i, version i, source_object_id i, capture_instance n, start_lsn v, end_lsn v, supports_net_changes b, \
         has_drop_pending b, role_name n, index_name n, filegroup_name n, create_date d",
    ),
    (
        "cdc",
        "captured_columns",
        "object_id i, column_name n, column_id i, column_type n, column_ordinal i, is_computed b",
    ),
    ("cdc", "lsn_time_mapping", "start_lsn v, tran_begin_time d, tran_end_time d, tran_id v, tran_begin_lsn v"),
    (
        "INFORMATION_SCHEMA",
        "COLUMNS",
        "TABLE_CATALOG n, TABLE_SCHEMA n, TABLE_NAME n, COLUMN_NAME n, ORDINAL_POSITION i, COLUMN_DEFAULT x, IS_NULLABLE n, \
         DATA_TYPE n, CHARACTER_MAXIMUM_LENGTH i, CHARACTER_OCTET_LENGTH i, NUMERIC_PRECISION t, NUMERIC_PRECISION_RADIX s, \
         NUMERIC_SCALE i, DATETIME_PRECISION s, CHARACTER_SET_NAME n, COLLATION_NAME n",
    ),
    ("INFORMATION_SCHEMA", "TABLES", "TABLE_CATALOG n, TABLE_SCHEMA n, TABLE_NAME n, TABLE_TYPE n"),
    (
        "INFORMATION_SCHEMA",
        "KEY_COLUMN_USAGE",
        "CONSTRAINT_SCHEMA n, CONSTRAINT_NAME n, TABLE_SCHEMA n, TABLE_NAME n, COLUMN_NAME n, ORDINAL_POSITION i",
    ),
    (
        "INFORMATION_SCHEMA",
        "TABLE_CONSTRAINTS",
        "CONSTRAINT_SCHEMA n, CONSTRAINT_NAME n, TABLE_SCHEMA n, TABLE_NAME n, CONSTRAINT_TYPE n",
    ),
];

/// Those that are asked for what changes all the time.
pub(super) const VIEWS: &[(&str, &str, &str)] = &[
    ("sys", "partitions", "partition_id l, object_id i, index_id i, partition_number i, hobt_id l, rows l"),
    (
        "sys",
        "dm_db_partition_stats",
        "partition_id l, object_id i, index_id i, partition_number i, row_count l, used_page_count l, reserved_page_count l",
    ),
    (
        "sys",
        "change_tracking_tables",
        "object_id i, is_track_columns_updated_on b, min_valid_version l, begin_version l, cleanup_version l",
    ),
];

pub(super) fn columns(written: &str) -> Vec<ColumnDef> {
    let column = |part: &str| {
        let (name, letter) = part.trim().split_once(' ').unwrap_or((part, "x"));
        let declared = match letter {
            "n" => SqlType::NAME,
            "i" => SqlType::Int,
            "b" => SqlType::Bit,
            "t" => SqlType::TinyInt,
            "s" => SqlType::SmallInt,
            "l" => SqlType::BigInt,
            "d" => SqlType::DateTime,
            "c" => SqlType::Char(2, Collation::DEFAULT),
            "v" => SqlType::Binary(10),
            _ => SqlType::TEXT,
        };
        ColumnDef { column: Column::new(name, declared), default: None, computed: None, sparse: false }
    };
    written.split(',').map(column).collect()
}
