"""Polars' methods on remote frames, for type checkers. `python -m tests.stubs.frames` writes them."""

# polars 2.1.0
# fmt: off
# ruff: noqa
# mypy: disable-error-code="override, overload-overlap, overload-cannot-match, misc, import-untyped, import-not-found"
# pyright: reportIncompatibleMethodOverride=false, reportOverlappingOverload=false, reportInvalidTypeVarUse=false
# pyright: reportInvalidTypeArguments=false, reportMissingImports=false, reportMissingTypeStubs=false

import datetime as _datetime
import numpy as np
import numpy.ma as _numpy_ma
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as _pyarrow_dataset
from beampy.frames.dataframe import RemoteDataFrame
from beampy.frames.grouped import RemoteGroupBy, RemoteLazyGroupBy, RemoteWindowGroupBy
from beampy.frames.lazyframe import RemoteLazyFrame
from beampy.frames.series import RemoteSeries
from beampy.handle import Handle
from builtins import list as _list, str as _str
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO, IOBase
from pathlib import Path
from polars._typing import (
    Ambiguous,
    ApproxQuantileErrorBound,
    ApproxQuantileMethod,
    ArrayLike,
    ArrowArrayExportable,
    ArrowSchemaExportable,
    ArrowStreamExportable,
    AsofJoinStrategy,
    AvroCompression,
    ClosedInterval,
    ColumnFormatDict,
    ColumnMapping,
    ColumnNameOrSelector,
    ColumnTotalsDefinition,
    ColumnWidthsDefinition,
    ConcatMethod,
    ConditionalFormatDict,
    ConnectionOrCursor,
    CsvEncoding,
    CsvQuoteStyle,
    DbReadEngine,
    DbWriteEngine,
    DbWriteMode,
    DefaultFieldValues,
    DeletionFiles,
    Endianness,
    EngineType,
    EpochTimeUnit,
    ExcelSpreadsheetEngine,
    ExplainFormat,
    FileSource,
    FillNullStrategy,
    FrameInitTypes,
    IndexOrder,
    InterpolationMethod,
    IntoExpr,
    IntoExprColumn,
    IpcCompression,
    JSONEncoder,
    JoinBuildSide,
    JoinStrategy,
    JoinValidation,
    JoinWhereStrategy,
    Label,
    MaintainOrderJoin,
    MultiColSelector,
    MultiIndexSelector,
    NonExistent,
    NonNestedLiteral,
    NullBehavior,
    NumericLiteral,
    OneOrMoreDataTypes,
    Orientation,
    ParallelStrategy,
    ParquetCompression,
    ParquetMetadata,
    PivotAgg,
    PolarsDataType,
    PolarsIntegerType,
    PolarsTemporalType,
    PythonDataType,
    PythonLiteral,
    QuantileMethod,
    RankMethod,
    Roll,
    RoundMode,
    RowTotalsDefinition,
    SchemaDefinition,
    SchemaDict,
    SearchSortedSide,
    SelectorType,
    SerializationFormat,
    SingleColSelector,
    SingleIndexSelector,
    SizeUnit,
    StartBy,
    StorageOptionsDict,
    SyncOnCloseMethod,
    TemporalLiteral,
    TimeUnit,
    TransferEncoding,
    UnicodeForm,
    UniqueKeepStrategy,
    UnstackDirection,
)
from polars._utils.various import NoDefault
from polars.io.external_reader._external_reader import FileReaderBuilder
from polars.io.iceberg import IcebergCatalogConfig
from polars.io.partition import SinkedPathsCallback
from polars.ml.torch import PolarsDataset
from polars.selectors import Selector
from typing import Any, Concatenate, IO, Literal, ParamSpec, overload
_P = ParamSpec("_P")

class DataFrameMethods:
    """`polars.DataFrame`'s, of a RemoteDataFrame."""

    def bottom_k(
        self,
        k: int,
        *,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteDataFrame:
        """Return the `k` smallest rows."""
    def cast(
        self,
        dtypes: Mapping[ColumnNameOrSelector | PolarsDataType, PolarsDataType | PythonDataType] | PolarsDataType | pl.Schema,
        *,
        strict: bool = True,
    ) -> RemoteDataFrame:
        """Cast DataFrame column(s) to the specified dtype(s)."""
    def clear(self, n: int = 0) -> RemoteDataFrame:
        """Create an empty (n=0) or `n`-row null-filled (n>0) copy of the DataFrame."""
    def clone(self) -> RemoteDataFrame:
        """Create a copy of this DataFrame."""
    def collect_schema(self) -> Handle[pl.Schema]:
        """Get an ordered mapping of column names to their data type."""
    @property
    def columns(self) -> Handle[list[str]]:
        """Get or set column names."""
    @columns.setter
    def columns(self, names: Sequence[str]) -> Handle[None]: ...
    def corr(self, *, label: str | None = None, **kwargs: Any) -> RemoteDataFrame:
        """Return pairwise Pearson product-moment correlation coefficients between columns."""
    def count(self) -> RemoteDataFrame:
        """Return the number of non-null elements for each column."""
    def describe(
        self, percentiles: Sequence[float] | float | None = ..., *, interpolation: QuantileMethod = "nearest"
    ) -> RemoteDataFrame:
        """Summary statistics for a DataFrame."""
    def drop(
        self, *columns: ColumnNameOrSelector | Iterable[ColumnNameOrSelector], strict: bool = True
    ) -> RemoteDataFrame:
        """Remove columns from the dataframe."""
    def drop_nans(
        self, subset: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None
    ) -> RemoteDataFrame:
        """Drop all rows that contain one or more NaN values."""
    def drop_nulls(
        self, subset: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None
    ) -> RemoteDataFrame:
        """Drop all rows that contain one or more null values."""
    @property
    def dtypes(self) -> Handle[list[pl.DataType]]:
        """Get the column data types."""
    def equals(self, other: pl.DataFrame | RemoteDataFrame, *, null_equal: bool = True) -> Handle[bool]:
        """Check whether the DataFrame is equal to another DataFrame."""
    def estimated_size(self, unit: SizeUnit = "b") -> Handle[int | float]:
        """Return an estimation of the total (heap) allocated size of the `DataFrame`."""
    def explode(
        self,
        columns: ColumnNameOrSelector | Iterable[ColumnNameOrSelector],
        *more_columns: ColumnNameOrSelector,
        empty_as_null: bool = False,
        keep_nulls: bool = True,
    ) -> RemoteDataFrame:
        """Explode the dataframe to long format by exploding the given columns."""
    def fill_nan(self, value: pl.Expr | int | float | None) -> RemoteDataFrame:
        """Fill floating point NaN values by an Expression evaluation."""
    def fill_null(
        self,
        value: Any | pl.Expr | None = None,
        strategy: FillNullStrategy | None = None,
        limit: int | None = None,
        *,
        matches_supertype: bool = True,
    ) -> RemoteDataFrame:
        """Fill null values using the specified value or strategy."""
    def filter(
        self,
        *predicates: IntoExprColumn | RemoteSeries | Iterable[IntoExprColumn | RemoteSeries] | bool | list[bool] | np.ndarray[Any, Any],
        **constraints: Any,
    ) -> RemoteDataFrame:
        """Filter rows, retaining those that match the given predicate expression(s)."""
    @property
    def flags(self) -> Handle[dict[str, dict[str, bool]]]:
        """Get flags that are set on the columns of this DataFrame."""
    def fold(self, operation: Callable[[pl.Series, pl.Series], pl.Series]) -> RemoteSeries:
        """Apply a horizontal reduction on a DataFrame."""
    def gather(
        self,
        indices: int | Sequence[int] | IntoExpr | RemoteSeries | pl.Series | np.ndarray[Any, Any],
        *,
        null_on_oob: bool = False,
    ) -> RemoteDataFrame:
        """Selects rows from this DataFrame at the given indices."""
    def gather_every(self, n: int, offset: int = 0) -> RemoteDataFrame:
        """Take every nth row in the DataFrame and return as a new DataFrame."""
    def get_column_index(self, name: str) -> Handle[int]:
        """Find the index of a column by name."""
    def get_columns(self) -> Handle[list[RemoteSeries]]:
        """Get the DataFrame as a List of Series."""
    @overload
    def glimpse(
        self, *, max_items_per_column: int = ..., max_colname_length: int = ..., return_type: None = ...
    ) -> Handle[None]: ...
    @overload
    def glimpse(
        self, *, max_items_per_column: int = ..., max_colname_length: int = ..., return_type: Literal["string"]
    ) -> Handle[str]: ...
    @overload
    def glimpse(
        self, *, max_items_per_column: int = ..., max_colname_length: int = ..., return_type: Literal["frame", "self"]
    ) -> Handle[RemoteDataFrame]:
        """Return a dense preview of the DataFrame."""
    def group_by(
        self,
        *by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        maintain_order: bool = False,
        **named_by: IntoExpr | RemoteSeries,
    ) -> RemoteGroupBy:
        """Start a group by operation."""
    def group_by_dynamic(
        self,
        index_column: IntoExpr | RemoteSeries,
        *,
        every: str | timedelta,
        period: str | timedelta | None = None,
        offset: str | timedelta | None = None,
        include_boundaries: bool = False,
        closed: ClosedInterval = "left",
        label: Label = "left",
        group_by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries] | None = None,
        start_by: StartBy = "window",
    ) -> RemoteWindowGroupBy:
        """Group based on a time value (or index value of type Int32, Int64)."""
    def hash_rows(self, seed: int = 0) -> RemoteSeries:
        """Hash and combine the rows in this DataFrame."""
    def head(self, n: int = 5) -> RemoteDataFrame:
        """Get the first `n` rows."""
    @property
    def height(self) -> Handle[int]:
        """Get the number of rows."""
    def hstack(
        self, columns: Sequence[pl.Series | RemoteSeries] | pl.DataFrame | RemoteDataFrame, *, in_place: bool = False
    ) -> RemoteDataFrame:
        """Return a new DataFrame grown horizontally by stacking multiple Series to it."""
    def interpolate(self) -> RemoteDataFrame:
        """Interpolate intermediate values. The interpolation method is linear."""
    def is_duplicated(self) -> RemoteSeries:
        """Get a mask of all duplicated rows in this DataFrame."""
    def is_empty(self) -> Handle[bool]:
        """Returns `True` if the DataFrame contains no rows."""
    def is_sorted(
        self,
        by: str | Iterable[str],
        *more_by: str,
        descending: bool | Sequence[bool] = False,
        nulls_last: bool | Sequence[bool] = False,
    ) -> Handle[bool]:
        """Check whether the DataFrame is sorted by the given columns."""
    def is_unique(self) -> RemoteSeries:
        """Get a mask of all unique rows in this DataFrame."""
    def item(self, row: int | None = None, column: int | str | None = None) -> Handle[Any]:
        """Return the DataFrame as a scalar, or return the element at the given row/column."""
    def join(
        self,
        other: pl.DataFrame | RemoteDataFrame,
        on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        how: JoinStrategy = "inner",
        *,
        left_on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        right_on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        suffix: str = "_right",
        validate: JoinValidation = "m:m",
        nulls_equal: bool = False,
        coalesce: bool | None = None,
        maintain_order: MaintainOrderJoin | None = None,
        build_side: JoinBuildSide = "auto",
    ) -> RemoteDataFrame:
        """Join in SQL-like fashion."""
    def join_asof(
        self,
        other: pl.DataFrame | RemoteDataFrame,
        *,
        left_on: str | None | pl.Expr = None,
        right_on: str | None | pl.Expr = None,
        on: str | None | pl.Expr = None,
        by_left: str | Sequence[str] | None = None,
        by_right: str | Sequence[str] | None = None,
        by: str | Sequence[str] | None = None,
        strategy: AsofJoinStrategy = "backward",
        suffix: str = "_right",
        tolerance: str | int | float | timedelta | None = None,
        allow_parallel: bool = True,
        force_parallel: bool = False,
        coalesce: bool = True,
        allow_exact_matches: bool = True,
        check_sortedness: bool = True,
    ) -> RemoteDataFrame:
        """Perform an asof join."""
    def join_where(
        self,
        other: pl.DataFrame | RemoteDataFrame,
        *predicates: pl.Expr | Iterable[pl.Expr],
        how: JoinWhereStrategy = "inner",
        suffix: str = "_right",
    ) -> RemoteDataFrame:
        """Perform a join based on one or multiple (in)equality predicates."""
    def limit(self, n: int = 5) -> RemoteDataFrame:
        """Get the first `n` rows."""
    def map_columns(
        self,
        column_names: str | Sequence[str] | Selector,
        function: Callable[Concatenate[pl.Series, _P], pl.Series],
        *args: _P.args,
        **kwargs: _P.kwargs,
    ) -> RemoteDataFrame:
        """Apply eager functions to columns of a DataFrame."""
    def map_rows(
        self,
        function: Callable[[tuple[Any, ...]], Any],
        return_dtype: PolarsDataType | None = None,
        *,
        inference_size: int = 256,
    ) -> RemoteDataFrame:
        """Apply a custom/user-defined function (UDF) over the rows of the DataFrame."""
    def match_to_schema(
        self,
        schema: SchemaDict | pl.Schema,
        *,
        missing_columns: Literal["insert", "raise"] | Mapping[str, Literal["insert", "raise"] | pl.Expr] = "raise",
        missing_struct_fields: Literal["insert", "raise"] | Mapping[str, Literal["insert", "raise"]] = "raise",
        extra_columns: Literal["ignore", "raise"] = "raise",
        extra_struct_fields: Literal["ignore", "raise"] | Mapping[str, Literal["ignore", "raise"]] = "raise",
        integer_cast: Literal["upcast", "forbid"] | Mapping[str, Literal["upcast", "forbid"]] = "forbid",
        float_cast: Literal["upcast", "forbid"] | Mapping[str, Literal["upcast", "forbid"]] = "forbid",
    ) -> RemoteDataFrame:
        """Match or evolve the schema of a LazyFrame into a specific schema."""
    def max(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their maximum value."""
    def max_horizontal(self) -> RemoteSeries:
        """Get the maximum value horizontally across columns."""
    def mean(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their mean value."""
    def mean_horizontal(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Take the mean of all values horizontally across columns."""
    def median(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their median value."""
    def merge_sorted(
        self, other: pl.DataFrame | RemoteDataFrame, key: str | Sequence[str], *, maintain_order: bool = False
    ) -> RemoteDataFrame:
        """Take two sorted DataFrames and merge them by the sorted key."""
    def min(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their minimum value."""
    def min_horizontal(self) -> RemoteSeries:
        """Get the minimum value horizontally across columns."""
    @overload
    def n_chunks(self, strategy: Literal["first"] = ...) -> Handle[int]: ...
    @overload
    def n_chunks(self, strategy: Literal["all"]) -> Handle[list[int]]:
        """Get number of chunks used by the ChunkedArrays of this DataFrame."""
    def n_unique(
        self, subset: IntoExpr | RemoteSeries | Collection[IntoExpr | RemoteSeries] | None = None
    ) -> Handle[int]:
        """Return the number of unique rows, or the number of unique row-subsets."""
    def null_count(self) -> RemoteDataFrame:
        """Create a new DataFrame that shows the null counts per column."""
    @overload
    def partition_by(
        self,
        by: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *more_by: ColumnNameOrSelector,
        maintain_order: bool = ...,
        include_key: bool = ...,
        as_dict: Literal[False] = ...,
    ) -> Handle[list[RemoteDataFrame]]: ...
    @overload
    def partition_by(
        self,
        by: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *more_by: ColumnNameOrSelector,
        maintain_order: bool = ...,
        include_key: bool = ...,
        as_dict: Literal[True],
    ) -> Handle[dict[tuple[Any, ...], RemoteDataFrame]]: ...
    @overload
    def partition_by(
        self,
        by: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *more_by: ColumnNameOrSelector,
        maintain_order: bool = ...,
        include_key: bool = ...,
        as_dict: bool,
    ) -> Handle[list[RemoteDataFrame] | dict[tuple[Any, ...], RemoteDataFrame]]:
        """Group by the given columns and return the groups as separate dataframes."""
    def pivot(
        self,
        on: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        on_columns: Sequence[Any] | pl.Series | RemoteSeries | pl.DataFrame | RemoteDataFrame | None = None,
        *,
        index: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        values: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        aggregate_function: PivotAgg | pl.Expr | None = None,
        maintain_order: bool = True,
        sort_columns: bool = False,
        separator: str = "_",
        column_naming: Literal["auto", "combine"] = "auto",
    ) -> RemoteDataFrame:
        """Create a spreadsheet-style pivot table as a DataFrame."""
    def product(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their product values."""
    def quantile(self, quantile: float, interpolation: QuantileMethod = "nearest") -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their quantile value."""
    def rechunk(self) -> RemoteDataFrame:
        """Rechunk the data in this DataFrame to a contiguous allocation."""
    def remove(
        self,
        *predicates: IntoExprColumn | RemoteSeries | Iterable[IntoExprColumn | RemoteSeries] | bool | list[bool] | np.ndarray[Any, Any],
        **constraints: Any,
    ) -> RemoteDataFrame:
        """Remove rows, dropping those that match the given predicate expression(s)."""
    def rename(self, mapping: Mapping[str, str] | Callable[[str], str], *, strict: bool = True) -> RemoteDataFrame:
        """Rename column names."""
    def reverse(self) -> RemoteDataFrame:
        """Reverse the DataFrame."""
    def rolling(
        self,
        index_column: IntoExpr | RemoteSeries,
        *,
        period: str | timedelta,
        offset: str | timedelta | None = None,
        closed: ClosedInterval = "right",
        group_by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries] | None = None,
    ) -> RemoteWindowGroupBy:
        """Create rolling groups based on a temporal or integer column."""
    @overload
    def row(
        self, index: int | None = ..., *, by_predicate: pl.Expr | None = ..., named: Literal[False] = ...
    ) -> Handle[tuple[Any, ...]]: ...
    @overload
    def row(
        self, index: int | None = ..., *, by_predicate: pl.Expr | None = ..., named: Literal[True]
    ) -> Handle[dict[str, Any]]:
        """Get the values of a single row, either by index or by predicate."""
    @overload
    def rows(self, *, named: Literal[False] = ...) -> Handle[list[tuple[Any, ...]]]: ...
    @overload
    def rows(self, *, named: Literal[True]) -> Handle[list[dict[str, Any]]]:
        """Returns all data in the DataFrame as a list of rows of python-native values."""
    @overload
    def rows_by_key(
        self,
        key: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *,
        named: Literal[False] = ...,
        include_key: bool = ...,
        unique: Literal[False] = ...,
    ) -> Handle[dict[Any, list[Any]]]: ...
    @overload
    def rows_by_key(
        self,
        key: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *,
        named: Literal[False] = ...,
        include_key: bool = ...,
        unique: Literal[True],
    ) -> Handle[dict[Any, Any]]: ...
    @overload
    def rows_by_key(
        self,
        key: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *,
        named: Literal[True],
        include_key: bool = ...,
        unique: Literal[False] = ...,
    ) -> Handle[dict[Any, list[dict[str, Any]]]]: ...
    @overload
    def rows_by_key(
        self,
        key: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        *,
        named: Literal[True],
        include_key: bool = ...,
        unique: Literal[True],
    ) -> Handle[dict[Any, dict[str, Any]]]:
        """Returns all data as a dictionary of python-native values keyed by some column."""
    def sample(
        self,
        n: int | pl.Series | RemoteSeries | None = None,
        *,
        fraction: float | pl.Series | RemoteSeries | None = None,
        with_replacement: bool = False,
        shuffle: bool | None = None,
        seed: int | None = None,
    ) -> RemoteDataFrame:
        """Sample from this DataFrame."""
    @property
    def schema(self) -> Handle[pl.Schema]:
        """Get an ordered mapping of column names to their data type."""
    def select(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteDataFrame:
        """Select columns from this DataFrame."""
    def select_seq(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteDataFrame:
        """Select columns from this DataFrame."""
    @overload
    def serialize(self, file: None = ..., *, format: Literal["binary"] = ...) -> Handle[bytes]: ...
    @overload
    def serialize(self, file: None = ..., *, format: Literal["json"]) -> Handle[str]: ...
    @overload
    def serialize(self, file: IOBase | str | Path, *, format: SerializationFormat = ...) -> Handle[None]:
        """Serialize this DataFrame to a file or string in JSON format."""
    def set_sorted(self, column: str, *, descending: bool = False, nulls_last: bool = False) -> RemoteDataFrame:
        """Flag a column as sorted."""
    @property
    def shape(self) -> Handle[tuple[int, int]]:
        """Get the shape of the DataFrame."""
    def shift(self, n: int = 1, *, fill_value: IntoExpr | RemoteSeries | None = None) -> RemoteDataFrame:
        """Shift values by the given number of indices."""
    def shrink_to_fit(self, *, in_place: bool = False) -> RemoteDataFrame:
        """Shrink DataFrame memory usage."""
    def slice(self, offset: int, length: int | None = None) -> RemoteDataFrame:
        """Get a slice of this DataFrame."""
    def sort(
        self,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        *more_by: IntoExpr | RemoteSeries,
        descending: bool | Sequence[bool] = False,
        nulls_last: bool | Sequence[bool] = False,
        multithreaded: bool = True,
        maintain_order: bool = False,
    ) -> RemoteDataFrame:
        """Sort the dataframe by the given columns."""
    def sql(self, query: str, *, table_name: str = "self") -> RemoteDataFrame:
        """Execute a SQL query against the DataFrame."""
    def std(self, ddof: int = 1) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their standard deviation value."""
    def sum(self) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their sum value."""
    def sum_horizontal(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Sum all values horizontally across columns."""
    def tail(self, n: int = 5) -> RemoteDataFrame:
        """Get the last `n` rows."""
    def to_arrow(self, *, compat_level: pl.CompatLevel | None = None) -> Handle[pa.Table]:
        """Collect the underlying arrow arrays in an Arrow Table."""
    @overload
    def to_dict(self, *, as_series: Literal[True] = ...) -> Handle[dict[str, RemoteSeries]]: ...
    @overload
    def to_dict(self, *, as_series: Literal[False]) -> Handle[dict[str, list[Any]]]: ...
    @overload
    def to_dict(self, *, as_series: bool) -> Handle[dict[str, RemoteSeries] | dict[str, list[Any]]]:
        """Convert DataFrame to a dictionary mapping column name to values."""
    def to_dicts(self) -> Handle[list[dict[str, Any]]]:
        """Convert every row to a dictionary of Python-native values."""
    def to_dummies(
        self,
        columns: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        *,
        separator: str = "_",
        drop_first: bool = False,
        drop_nulls: bool = False,
    ) -> RemoteDataFrame:
        """Convert categorical variables into dummy/indicator variables."""
    def to_init_repr(self, n: int = 1000) -> Handle[str]:
        """Convert DataFrame to instantiable string representation."""
    @overload
    def to_jax(
        self,
        return_type: Literal["array"] = ...,
        *,
        device: Any | str | None = ...,
        label: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        features: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        dtype: PolarsDataType | None = ...,
        order: IndexOrder = ...,
    ) -> Handle[Any]: ...
    @overload
    def to_jax(
        self,
        return_type: Literal["dict"],
        *,
        device: Any | str | None = ...,
        label: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        features: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        dtype: PolarsDataType | None = ...,
        order: IndexOrder = ...,
    ) -> Handle[dict[str, Any]]:
        """Convert DataFrame to a Jax Array, or dict of Jax Arrays."""
    @overload
    def to_numpy(
        self,
        *,
        order: IndexOrder = ...,
        writable: bool = ...,
        allow_copy: bool = ...,
        structured: bool = ...,
        masked: Literal[False] = ...,
    ) -> Handle[np.ndarray[Any, Any]]: ...
    @overload
    def to_numpy(
        self,
        *,
        order: IndexOrder = ...,
        writable: bool = ...,
        allow_copy: bool = ...,
        structured: bool = ...,
        masked: Literal[True],
    ) -> Handle[_numpy_ma.MaskedArray[Any, Any]]: ...
    @overload
    def to_numpy(
        self,
        *,
        order: IndexOrder = ...,
        writable: bool = ...,
        allow_copy: bool = ...,
        structured: bool = ...,
        masked: bool,
    ) -> Handle[np.ndarray[Any, Any]]:
        """Convert this DataFrame to a NumPy ndarray."""
    def to_pandas(self, *, use_pyarrow_extension_array: bool = False, **kwargs: Any) -> Handle[pd.DataFrame]:
        """Convert this DataFrame to a pandas DataFrame."""
    def to_series(self, index: int = 0) -> RemoteSeries:
        """Select column as Series at index location."""
    def to_struct(self, name: str = "") -> RemoteSeries:
        """Convert a `DataFrame` to a `Series` of type `Struct`."""
    @overload
    def to_torch(
        self,
        return_type: Literal["tensor"] = ...,
        *,
        label: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        features: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        dtype: PolarsDataType | None = ...,
    ) -> Handle[Any]: ...
    @overload
    def to_torch(
        self,
        return_type: Literal["dataset"],
        *,
        label: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        features: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        dtype: PolarsDataType | None = ...,
    ) -> Handle[PolarsDataset]: ...
    @overload
    def to_torch(
        self,
        return_type: Literal["dict"],
        *,
        label: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        features: str | pl.Expr | Sequence[str | pl.Expr] | None = ...,
        dtype: PolarsDataType | None = ...,
    ) -> Handle[dict[str, Any]]:
        """Convert DataFrame to a PyTorch Tensor, Dataset, or dict of Tensors."""
    def top_k(
        self,
        k: int,
        *,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteDataFrame:
        """Return the `k` largest rows."""
    def transpose(
        self,
        *,
        include_header: bool = False,
        header_name: str = "column",
        column_names: str | Iterable[str] | None = None,
    ) -> RemoteDataFrame:
        """Transpose a DataFrame over the diagonal."""
    def unique(
        self,
        subset: IntoExpr | RemoteSeries | Collection[IntoExpr | RemoteSeries] | None = None,
        *,
        keep: UniqueKeepStrategy = "any",
        maintain_order: bool = False,
    ) -> RemoteDataFrame:
        """Drop duplicate rows from this DataFrame."""
    def unnest(
        self,
        columns: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None,
        *more_columns: ColumnNameOrSelector,
        separator: str | None = None,
    ) -> RemoteDataFrame:
        """Decompose struct columns into separate columns for each of their fields."""
    def unpivot(
        self,
        on: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        *,
        index: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        variable_name: str | None = None,
        value_name: str | None = None,
    ) -> RemoteDataFrame:
        """Unpivot a DataFrame from wide to long format."""
    def unstack(
        self,
        *,
        step: int,
        how: UnstackDirection = "vertical",
        columns: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        fill_values: list[Any] | None = None,
    ) -> RemoteDataFrame:
        """Unstack a long table to a wide form without doing an aggregation."""
    def update(
        self,
        other: pl.DataFrame | RemoteDataFrame,
        on: str | Sequence[str] | None = None,
        how: Literal["left", "inner", "full"] = "left",
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        include_nulls: bool = False,
        maintain_order: MaintainOrderJoin | None = "left",
    ) -> RemoteDataFrame:
        """Update the values in this `DataFrame` with the values in `other`."""
    def upsample(
        self,
        time_column: str,
        *,
        every: str | timedelta,
        group_by: str | Sequence[str] | None = None,
        maintain_order: bool = False,
    ) -> RemoteDataFrame:
        """Upsample a DataFrame at a regular frequency."""
    def var(self, ddof: int = 1) -> RemoteDataFrame:
        """Aggregate the columns of this DataFrame to their variance value."""
    def vstack(self, other: pl.DataFrame | RemoteDataFrame, *, in_place: bool = False) -> RemoteDataFrame:
        """Grow this DataFrame vertically by stacking a DataFrame to it."""
    @property
    def width(self) -> Handle[int]:
        """Get the number of columns."""
    def with_columns(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteDataFrame:
        """Add columns to this DataFrame."""
    def with_columns_seq(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteDataFrame:
        """Add columns to this DataFrame."""
    def with_row_index(self, name: str = "index", offset: int = 0) -> RemoteDataFrame:
        """Add a row index as the first column in the DataFrame."""
    def write_avro(
        self, file: str | Path | IO[bytes], compression: AvroCompression = "uncompressed", name: str = ""
    ) -> Handle[None]:
        """Write to Apache Avro file."""
    @overload
    def write_csv(
        self,
        file: None = None,
        *,
        include_bom: bool = ...,
        compression: Literal["uncompressed", "gzip", "zstd"] = ...,
        compression_level: int | None = None,
        check_extension: bool = ...,
        include_header: bool = ...,
        separator: str = ...,
        line_terminator: str = ...,
        quote_char: str = ...,
        batch_size: int = ...,
        datetime_format: str | None = ...,
        date_format: str | None = ...,
        time_format: str | None = ...,
        float_scientific: bool | None = ...,
        float_precision: int | None = ...,
        decimal_comma: bool = ...,
        null_value: str | None = ...,
        quote_style: CsvQuoteStyle | None = ...,
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
    ) -> Handle[str]: ...
    @overload
    def write_csv(
        self,
        file: str | Path | IO[str] | IO[bytes],
        *,
        include_bom: bool = ...,
        compression: Literal["uncompressed", "gzip", "zstd"] = ...,
        compression_level: int | None = None,
        check_extension: bool = ...,
        include_header: bool = ...,
        separator: str = ...,
        line_terminator: str = ...,
        quote_char: str = ...,
        batch_size: int = ...,
        datetime_format: str | None = ...,
        date_format: str | None = ...,
        time_format: str | None = ...,
        float_scientific: bool | None = ...,
        float_precision: int | None = ...,
        decimal_comma: bool = ...,
        null_value: str | None = ...,
        quote_style: CsvQuoteStyle | None = ...,
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
    ) -> Handle[None]:
        """Write to comma-separated values (CSV) file."""
    def write_database(
        self,
        table_name: str,
        connection: ConnectionOrCursor | str,
        *,
        if_table_exists: DbWriteMode = "fail",
        engine: DbWriteEngine | None = None,
        engine_options: dict[str, Any] | None = None,
    ) -> Handle[int]:
        """Write the data in a Polars DataFrame to a database."""
    @overload
    def write_delta(
        self,
        target: str | Path | Any,
        *,
        mode: Literal["error", "append", "overwrite", "ignore"] = ...,
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
        delta_write_options: dict[str, Any] | None = ...,
    ) -> Handle[None]: ...
    @overload
    def write_delta(
        self,
        target: str | Path | Any,
        *,
        mode: Literal["merge"],
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
        delta_merge_options: dict[str, Any],
    ) -> Handle[Any]:
        """Write DataFrame as delta table."""
    def write_excel(
        self,
        workbook: str | Any | IO[bytes] | Path | None = None,
        worksheet: str | Any | None = None,
        *,
        position: tuple[int, int] | str = "A1",
        table_style: str | dict[str, Any] | None = None,
        table_name: str | None = None,
        column_formats: ColumnFormatDict | None = None,
        dtype_formats: dict[OneOrMoreDataTypes, str] | None = None,
        conditional_formats: ConditionalFormatDict | None = None,
        header_format: dict[str, Any] | None = None,
        column_totals: ColumnTotalsDefinition | None = None,
        column_widths: ColumnWidthsDefinition | None = None,
        row_totals: RowTotalsDefinition | None = None,
        row_heights: dict[int | tuple[int, ...], int] | int | None = None,
        sparklines: dict[str, Sequence[str] | dict[str, Any]] | None = None,
        formulas: dict[str, str | dict[str, str]] | None = None,
        float_precision: int = 3,
        include_header: bool = True,
        autofilter: bool = True,
        autofit: bool = False,
        hidden_columns: Sequence[str] | SelectorType | None = None,
        hide_gridlines: bool = False,
        sheet_zoom: int | None = None,
        freeze_panes: str | tuple[int, int] | tuple[str, int, int] | tuple[int, int, int, int] | None = None,
        use_zip64: bool = False,
    ) -> Handle[Any]:
        """Write frame data to a table in an Excel workbook/worksheet."""
    def write_iceberg(self, target: str | Any, mode: Literal["append", "overwrite"]) -> Handle[None]:
        """Write DataFrame to an Iceberg table."""
    @overload
    def write_ipc(
        self,
        file: None,
        *,
        compression: IpcCompression = "uncompressed",
        compat_level: pl.CompatLevel | None = None,
        record_batch_size: int | None = None,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
    ) -> Handle[BytesIO]: ...
    @overload
    def write_ipc(
        self,
        file: str | Path | IO[bytes],
        *,
        compression: IpcCompression = "uncompressed",
        compat_level: pl.CompatLevel | None = None,
        record_batch_size: int | None = None,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
    ) -> Handle[None]:
        """Write to Arrow IPC binary stream or Feather file."""
    @overload
    def write_ipc_stream(
        self, file: None, *, compression: IpcCompression = "uncompressed", compat_level: pl.CompatLevel | None = None
    ) -> Handle[BytesIO]: ...
    @overload
    def write_ipc_stream(
        self,
        file: str | Path | IO[bytes],
        *,
        compression: IpcCompression = "uncompressed",
        compat_level: pl.CompatLevel | None = None,
    ) -> Handle[None]:
        """Write to Arrow IPC record batch stream."""
    @overload
    def write_json(self, file: None = ...) -> Handle[str]: ...
    @overload
    def write_json(self, file: IOBase | str | Path) -> Handle[None]:
        """Serialize to JSON representation."""
    @overload
    def write_ndjson(
        self,
        file: None = None,
        *,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
    ) -> Handle[str]: ...
    @overload
    def write_ndjson(
        self,
        file: str | Path | IO[bytes] | IO[str],
        *,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
    ) -> Handle[None]:
        """Serialize to newline delimited JSON representation."""
    def write_parquet(
        self,
        file: str | Path | IO[bytes],
        *,
        compression: ParquetCompression = "zstd",
        compression_level: int | None = None,
        statistics: bool | str | dict[str, bool] = True,
        row_group_size: int | None = None,
        data_page_size: int | None = None,
        use_pyarrow: bool = False,
        pyarrow_options: dict[str, Any] | None = None,
        partition_by: str | Sequence[str] | None = None,
        partition_chunk_size_bytes: int = 4294967296,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        metadata: ParquetMetadata | None = None,
        arrow_schema: ArrowSchemaExportable | None = None,
        encryption: pl.ParquetEncryptionProperties | None = None,
        mkdir: bool = False,
    ) -> Handle[None]:
        """Write to Apache Parquet file."""
    def __eq__(self, other: object) -> RemoteDataFrame: ...
    def __ne__(self, other: object) -> RemoteDataFrame: ...
    def __lt__(self, other: Any) -> RemoteDataFrame: ...
    def __le__(self, other: Any) -> RemoteDataFrame: ...
    def __gt__(self, other: Any) -> RemoteDataFrame: ...
    def __ge__(self, other: Any) -> RemoteDataFrame: ...
    def __add__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float | bool | str
    ) -> RemoteDataFrame: ...
    def __sub__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float
    ) -> RemoteDataFrame: ...
    def __mul__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float
    ) -> RemoteDataFrame: ...
    def __truediv__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float
    ) -> RemoteDataFrame: ...
    def __floordiv__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float
    ) -> RemoteDataFrame: ...
    def __mod__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float
    ) -> RemoteDataFrame: ...
    def __radd__(
        self, other: pl.DataFrame | RemoteDataFrame | pl.Series | RemoteSeries | int | float | bool | str
    ) -> RemoteDataFrame: ...
    def __rmul__(self, other: int | float) -> RemoteDataFrame: ...
    @overload
    def __getitem__(self, key: str | tuple[MultiIndexSelector | RemoteSeries, SingleColSelector]) -> RemoteSeries: ...
    @overload
    def __getitem__(self, key: tuple[SingleIndexSelector, SingleColSelector]) -> Handle[Any]: ...
    @overload
    def __getitem__(
        self,
        key: SingleIndexSelector | MultiIndexSelector | RemoteSeries | MultiColSelector | tuple[SingleIndexSelector, MultiColSelector | RemoteSeries] | tuple[MultiIndexSelector | RemoteSeries, MultiColSelector | RemoteSeries],
    ) -> RemoteDataFrame: ...
    def __setitem__(self, key: str | Sequence[str] | tuple[Any, str | int], value: Any) -> None: ...

class LazyFrameMethods:
    """`polars.LazyFrame`'s, of a RemoteLazyFrame."""

    def bottom_k(
        self,
        k: int,
        *,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteLazyFrame:
        """Return the `k` smallest rows."""
    def cache(self) -> RemoteLazyFrame:
        """Cache the result once the execution of the physical plan hits this node."""
    def cast(
        self,
        dtypes: Mapping[ColumnNameOrSelector | PolarsDataType, PolarsDataType | PythonDataType] | PolarsDataType | pl.DataTypeExpr | pl.Schema,
        *,
        strict: bool = True,
    ) -> RemoteLazyFrame:
        """Cast LazyFrame column(s) to the specified dtype(s)."""
    def clone(self) -> RemoteLazyFrame:
        """Create a copy of this LazyFrame."""
    def count(self) -> RemoteLazyFrame:
        """Return the number of non-null elements for each column."""
    def describe(
        self, percentiles: Sequence[float] | float | None = ..., *, interpolation: QuantileMethod = "nearest"
    ) -> RemoteDataFrame:
        """Creates a summary of statistics for a LazyFrame, returning a DataFrame."""
    def drop(
        self, *columns: ColumnNameOrSelector | Iterable[ColumnNameOrSelector], strict: bool = True
    ) -> RemoteLazyFrame:
        """Remove columns from the DataFrame."""
    def drop_nans(
        self, subset: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None
    ) -> RemoteLazyFrame:
        """Drop all rows that contain one or more NaN values."""
    def drop_nulls(
        self, subset: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None
    ) -> RemoteLazyFrame:
        """Drop all rows that contain one or more null values."""
    def explain(
        self,
        *,
        format: ExplainFormat = "plain",
        optimized: bool = True,
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[str]:
        """Create a string representation of the query plan."""
    def explode(
        self,
        columns: ColumnNameOrSelector | Iterable[ColumnNameOrSelector],
        *more_columns: ColumnNameOrSelector,
        empty_as_null: bool = False,
        keep_nulls: bool = True,
    ) -> RemoteLazyFrame:
        """Explode the DataFrame to long format by exploding the given columns."""
    def fill_nan(self, value: int | float | pl.Expr | None) -> RemoteLazyFrame:
        """Fill floating point NaN values."""
    def fill_null(
        self,
        value: Any | pl.Expr | None = None,
        strategy: FillNullStrategy | None = None,
        limit: int | None = None,
        *,
        matches_supertype: bool = True,
    ) -> RemoteLazyFrame:
        """Fill null values using the specified value or strategy."""
    def filter(
        self,
        *predicates: IntoExprColumn | RemoteSeries | Iterable[IntoExprColumn | RemoteSeries] | bool | list[bool] | np.ndarray[Any, Any],
        **constraints: Any,
    ) -> RemoteLazyFrame:
        """Filter rows in the LazyFrame based on a predicate expression."""
    def first(self) -> RemoteLazyFrame:
        """Get the first row of the DataFrame."""
    def gather(
        self,
        indices: int | Sequence[int] | IntoExpr | RemoteSeries | pl.Series | np.ndarray[Any, Any] | pl.LazyFrame | RemoteLazyFrame,
        *,
        null_on_oob: bool = False,
    ) -> RemoteLazyFrame:
        """Selects rows from this LazyFrame at the given indices."""
    def gather_every(self, n: int, offset: int = 0) -> RemoteLazyFrame:
        """Take every nth row in the LazyFrame and return as a new LazyFrame."""
    def group_by(
        self,
        *by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        maintain_order: bool = False,
        **named_by: IntoExpr | RemoteSeries,
    ) -> RemoteLazyGroupBy:
        """Start a group by operation."""
    def group_by_dynamic(
        self,
        index_column: IntoExpr | RemoteSeries,
        *,
        every: str | timedelta,
        period: str | timedelta | None = None,
        offset: str | timedelta | None = None,
        include_boundaries: bool = False,
        closed: ClosedInterval = "left",
        label: Label = "left",
        group_by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries] | None = None,
        start_by: StartBy = "window",
    ) -> RemoteLazyGroupBy:
        """Group based on a time value (or index value of type Int32, Int64)."""
    def head(self, n: int = 5) -> RemoteLazyFrame:
        """Get the first `n` rows."""
    def inspect(self, fmt: str = "{}") -> RemoteLazyFrame:
        """Inspect a node in the computation graph."""
    def interpolate(self) -> RemoteLazyFrame:
        """Interpolate intermediate values. The interpolation method is linear."""
    def join(
        self,
        other: pl.LazyFrame | RemoteLazyFrame,
        on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        how: JoinStrategy = "inner",
        *,
        left_on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        right_on: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        suffix: str = "_right",
        validate: JoinValidation = "m:m",
        nulls_equal: bool = False,
        coalesce: bool | None = None,
        maintain_order: MaintainOrderJoin | None = None,
        build_side: JoinBuildSide = "auto",
        allow_parallel: bool = True,
        force_parallel: bool = False,
    ) -> RemoteLazyFrame:
        """Add a join operation to the Logical Plan."""
    def join_asof(
        self,
        other: pl.LazyFrame | RemoteLazyFrame,
        *,
        left_on: str | None | pl.Expr = None,
        right_on: str | None | pl.Expr = None,
        on: str | None | pl.Expr = None,
        by_left: str | Sequence[str] | None = None,
        by_right: str | Sequence[str] | None = None,
        by: str | Sequence[str] | None = None,
        strategy: AsofJoinStrategy = "backward",
        suffix: str = "_right",
        tolerance: str | int | float | timedelta | None = None,
        allow_parallel: bool = True,
        force_parallel: bool = False,
        coalesce: bool = True,
        allow_exact_matches: bool = True,
        check_sortedness: bool = True,
    ) -> RemoteLazyFrame:
        """Perform an asof join."""
    def join_where(
        self,
        other: pl.LazyFrame | RemoteLazyFrame,
        *predicates: pl.Expr | Iterable[pl.Expr],
        how: JoinWhereStrategy = "inner",
        suffix: str = "_right",
    ) -> RemoteLazyFrame:
        """Perform a join based on one or multiple (in)equality predicates."""
    def last(self) -> RemoteLazyFrame:
        """Get the last row of the DataFrame."""
    def limit(self, n: int = 5) -> RemoteLazyFrame:
        """Get the first `n` rows."""
    def map_batches(
        self,
        function: Callable[[pl.DataFrame], pl.DataFrame],
        *,
        predicate_pushdown: bool = False,
        projection_pushdown: bool = False,
        slice_pushdown: bool = False,
        schema: None | SchemaDict = None,
        validate_output_schema: bool = True,
        streamable: bool = False,
    ) -> RemoteLazyFrame:
        """Apply a custom function."""
    def match_to_schema(
        self,
        schema: SchemaDict | pl.Schema,
        *,
        missing_columns: Literal["insert", "raise"] | Mapping[str, Literal["insert", "raise"] | pl.Expr] | pl.Expr = "raise",
        missing_struct_fields: Literal["insert", "raise"] | Mapping[str, Literal["insert", "raise"]] = "raise",
        extra_columns: Literal["ignore", "raise"] = "raise",
        extra_struct_fields: Literal["ignore", "raise"] | Mapping[str, Literal["ignore", "raise"]] = "raise",
        integer_cast: Literal["upcast", "forbid"] | Mapping[str, Literal["upcast", "forbid"]] = "forbid",
        float_cast: Literal["upcast", "forbid"] | Mapping[str, Literal["upcast", "forbid"]] = "forbid",
    ) -> RemoteLazyFrame:
        """Match or evolve the schema of a LazyFrame into a specific schema."""
    def max(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their maximum value."""
    def mean(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their mean value."""
    def median(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their median value."""
    def merge_sorted(
        self, other: pl.LazyFrame | RemoteLazyFrame, key: str | Sequence[str], *, maintain_order: bool = False
    ) -> RemoteLazyFrame:
        """Take two sorted DataFrames and merge them by the sorted key."""
    def min(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their minimum value."""
    def null_count(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame as the sum of their null value count."""
    def pipe_with_schema(self, function: Callable[[pl.LazyFrame, pl.Schema], pl.LazyFrame]) -> RemoteLazyFrame:
        """Allows to alter the lazy frame during the plan stage with the resolved schema."""
    def pivot(
        self,
        on: ColumnNameOrSelector | Sequence[ColumnNameOrSelector],
        on_columns: Sequence[Any] | pl.Series | RemoteSeries | pl.DataFrame | RemoteDataFrame,
        *,
        index: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        values: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        aggregate_function: PivotAgg | pl.Expr | None = None,
        maintain_order: bool = False,
        separator: str = "_",
        column_naming: Literal["auto", "combine"] = "auto",
    ) -> RemoteLazyFrame:
        """Create a spreadsheet-style pivot table as a DataFrame."""
    def quantile(self, quantile: float | pl.Expr, interpolation: QuantileMethod = "nearest") -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their quantile value."""
    def remove(
        self,
        *predicates: IntoExprColumn | RemoteSeries | Iterable[IntoExprColumn | RemoteSeries] | bool | list[bool] | np.ndarray[Any, Any],
        **constraints: Any,
    ) -> RemoteLazyFrame:
        """Remove rows, dropping those that match the given predicate expression(s)."""
    def rename(self, mapping: Mapping[str, str] | Callable[[str], str], *, strict: bool = True) -> RemoteLazyFrame:
        """Rename column names."""
    def reverse(self) -> RemoteLazyFrame:
        """Reverse the DataFrame."""
    def rolling(
        self,
        index_column: IntoExpr | RemoteSeries,
        *,
        period: str | timedelta,
        offset: str | timedelta | None = None,
        closed: ClosedInterval = "right",
        group_by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries] | None = None,
    ) -> RemoteLazyGroupBy:
        """Create rolling groups based on a temporal or integer column."""
    def select(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteLazyFrame:
        """Select columns from this LazyFrame."""
    def select_seq(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteLazyFrame:
        """Select columns from this LazyFrame."""
    @overload
    def serialize(self, file: None = ..., *, format: Literal["binary"] = ...) -> Handle[bytes]: ...
    @overload
    def serialize(self, file: None = ..., *, format: Literal["json"]) -> Handle[str]: ...
    @overload
    def serialize(self, file: IOBase | str | Path, *, format: SerializationFormat = ...) -> Handle[None]:
        """Serialize the logical plan of this LazyFrame to a file or string in JSON format."""
    def set_sorted(
        self,
        column: str | list[str],
        *more_columns: str,
        descending: bool | list[bool] = False,
        nulls_last: bool | list[bool] = False,
    ) -> RemoteLazyFrame:
        """Flag a column as sorted."""
    def shift(
        self, n: int | IntoExprColumn | RemoteSeries = 1, *, fill_value: IntoExpr | RemoteSeries | None = None
    ) -> RemoteLazyFrame:
        """Shift values by the given number of indices."""
    @overload
    def sink_csv(
        self,
        path: str | Path | IO[bytes] | IO[str] | pl.PartitionBy,
        *,
        include_bom: bool = False,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
        include_header: bool = True,
        separator: str = ",",
        line_terminator: str = '\n',
        quote_char: str = '"',
        batch_size: int = 1024,
        datetime_format: str | None = None,
        date_format: str | None = None,
        time_format: str | None = None,
        float_scientific: bool | None = None,
        float_precision: int | None = None,
        decimal_comma: bool = False,
        null_value: str | None = None,
        quote_style: CsvQuoteStyle | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[False] = ...,
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[None]: ...
    @overload
    def sink_csv(
        self,
        path: str | Path | IO[bytes] | IO[str] | pl.PartitionBy,
        *,
        include_bom: bool = False,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
        include_header: bool = True,
        separator: str = ",",
        line_terminator: str = '\n',
        quote_char: str = '"',
        batch_size: int = 1024,
        datetime_format: str | None = None,
        date_format: str | None = None,
        time_format: str | None = None,
        float_scientific: bool | None = None,
        float_precision: int | None = None,
        decimal_comma: bool = False,
        null_value: str | None = None,
        quote_style: CsvQuoteStyle | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[True],
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[RemoteLazyFrame]:
        """Evaluate the query in streaming mode and write to a CSV file."""
    @overload
    def sink_delta(
        self,
        target: str | Path | Any,
        *,
        mode: Literal["error", "append", "overwrite", "ignore"] = ...,
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
        delta_write_options: dict[str, Any] | None = ...,
        engine: EngineType = ...,
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[None]: ...
    @overload
    def sink_delta(
        self,
        target: str | Path | Any,
        *,
        mode: Literal["merge"],
        storage_options: StorageOptionsDict | None = ...,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = ...,
        delta_merge_options: dict[str, Any],
        engine: EngineType = ...,
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[Any]:
        """Sink DataFrame as delta table."""
    def sink_iceberg(
        self,
        target: str | Any,
        *,
        mode: Literal["append", "overwrite"],
        schema_mode: Literal["merge", "overwrite"] | None = None,
        overwrite_filter: pl.Expr | Any | str | None = None,
        partition_overwrite: Literal["dynamic"] | None = None,
        create_if_not_exists: bool = False,
        create_namespace_if_not_exists: bool = False,
        snapshot_properties: dict[str, str] | None = None,
        catalog: Any | IcebergCatalogConfig | None = None,
        storage_options: StorageOptionsDict | None = None,
        compression: ParquetCompression = "zstd",
        compression_level: int | None = None,
        row_group_size: int | None = None,
        maintain_order: bool = True,
        engine: EngineType = "auto",
    ) -> Handle[RemoteDataFrame]:
        """Sink a LazyFrame to an Iceberg table."""
    @overload
    def sink_ipc(
        self,
        path: str | Path | IO[bytes] | pl.PartitionBy,
        *,
        compression: IpcCompression | None = "uncompressed",
        compat_level: pl.CompatLevel | None = None,
        record_batch_size: int | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[False] = ...,
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
        _record_batch_statistics: bool = False,
        sinked_paths_callback: SinkedPathsCallback | None = None,
    ) -> Handle[None]: ...
    @overload
    def sink_ipc(
        self,
        path: str | Path | IO[bytes] | pl.PartitionBy,
        *,
        compression: IpcCompression | None = "uncompressed",
        compat_level: pl.CompatLevel | None = None,
        record_batch_size: int | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[True],
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
        _record_batch_statistics: bool = False,
        sinked_paths_callback: SinkedPathsCallback | None = None,
    ) -> Handle[RemoteLazyFrame]:
        """Evaluate the query in streaming mode and write to an IPC file."""
    @overload
    def sink_ndjson(
        self,
        path: str | Path | IO[bytes] | IO[str] | pl.PartitionBy,
        *,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[False] = ...,
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[None]: ...
    @overload
    def sink_ndjson(
        self,
        path: str | Path | IO[bytes] | IO[str] | pl.PartitionBy,
        *,
        compression: Literal["uncompressed", "gzip", "zstd"] = "uncompressed",
        compression_level: int | None = None,
        check_extension: bool = True,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[True],
        engine: EngineType = "auto",
        optimizations: pl.QueryOptFlags = ...,
    ) -> Handle[RemoteLazyFrame]:
        """Evaluate the query in streaming mode and write to an NDJSON file."""
    @overload
    def sink_parquet(
        self,
        path: str | Path | IO[bytes] | pl.PartitionBy,
        *,
        compression: ParquetCompression = "zstd",
        compression_level: int | None = None,
        statistics: bool | str | dict[str, bool] = True,
        row_group_size: int | None = None,
        data_page_size: int | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[False] = ...,
        engine: EngineType = "auto",
        metadata: ParquetMetadata | None = None,
        arrow_schema: ArrowSchemaExportable | None = None,
        encryption: pl.ParquetEncryptionProperties | None = None,
        optimizations: pl.QueryOptFlags = ...,
        sinked_paths_callback: SinkedPathsCallback | None = None,
    ) -> Handle[None]: ...
    @overload
    def sink_parquet(
        self,
        path: str | Path | IO[bytes] | pl.PartitionBy,
        *,
        compression: ParquetCompression = "zstd",
        compression_level: int | None = None,
        statistics: bool | str | dict[str, bool] = True,
        row_group_size: int | None = None,
        data_page_size: int | None = None,
        maintain_order: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        sync_on_close: SyncOnCloseMethod | None = None,
        mkdir: bool = False,
        lazy: Literal[True],
        engine: EngineType = "auto",
        metadata: ParquetMetadata | None = None,
        arrow_schema: ArrowSchemaExportable | None = None,
        encryption: pl.ParquetEncryptionProperties | None = None,
        optimizations: pl.QueryOptFlags = ...,
        sinked_paths_callback: SinkedPathsCallback | None = None,
    ) -> Handle[RemoteLazyFrame]:
        """Evaluate the query in streaming mode and write to a Parquet file."""
    def slice(self, offset: int, length: int | None = None) -> RemoteLazyFrame:
        """Get a slice of this DataFrame."""
    def sort(
        self,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        *more_by: IntoExpr | RemoteSeries,
        descending: bool | Sequence[bool] = False,
        nulls_last: bool | Sequence[bool] = False,
        maintain_order: bool = False,
        multithreaded: bool = True,
    ) -> RemoteLazyFrame:
        """Sort the LazyFrame by the given columns."""
    def sql(self, query: str, *, table_name: str = "self") -> RemoteLazyFrame:
        """Execute a SQL query against the LazyFrame."""
    def std(self, ddof: int = 1) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their standard deviation value."""
    def sum(self) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their sum value."""
    def tail(self, n: int = 5) -> RemoteLazyFrame:
        """Get the last `n` rows."""
    def top_k(
        self,
        k: int,
        *,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteLazyFrame:
        """Return the `k` largest rows."""
    def unique(
        self,
        subset: IntoExpr | RemoteSeries | Collection[IntoExpr | RemoteSeries] | None = None,
        *,
        keep: UniqueKeepStrategy = "any",
        maintain_order: bool = False,
    ) -> RemoteLazyFrame:
        """Drop duplicate rows from this LazyFrame."""
    def unnest(
        self,
        columns: ColumnNameOrSelector | Collection[ColumnNameOrSelector] | None = None,
        *more_columns: ColumnNameOrSelector,
        separator: str | None = None,
    ) -> RemoteLazyFrame:
        """Decompose struct columns into separate columns for each of their fields."""
    def unpivot(
        self,
        on: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        *,
        index: ColumnNameOrSelector | Sequence[ColumnNameOrSelector] | None = None,
        variable_name: str | None = None,
        value_name: str | None = None,
    ) -> RemoteLazyFrame:
        """Unpivot a DataFrame from wide to long format."""
    def update(
        self,
        other: pl.LazyFrame | RemoteLazyFrame,
        on: str | Sequence[str] | None = None,
        how: Literal["left", "inner", "full"] = "left",
        *,
        left_on: str | Sequence[str] | None = None,
        right_on: str | Sequence[str] | None = None,
        include_nulls: bool = False,
        maintain_order: MaintainOrderJoin | None = "left",
    ) -> RemoteLazyFrame:
        """Update the values in this `LazyFrame` with the values in `other`."""
    def var(self, ddof: int = 1) -> RemoteLazyFrame:
        """Aggregate the columns in the LazyFrame to their variance value."""
    def with_columns(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteLazyFrame:
        """Add columns to this LazyFrame."""
    def with_columns_seq(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteLazyFrame:
        """Add columns to this LazyFrame."""
    def with_row_index(self, name: str = "index", offset: int = 0) -> RemoteLazyFrame:
        """Add a row index as the first column in the LazyFrame."""

class SeriesMethods:
    """`polars.Series`', of a RemoteSeries."""

    def abs(self) -> RemoteSeries:
        """Compute absolute values."""
    def alias(self, name: _str) -> RemoteSeries:
        """Rename the series."""
    @overload
    def all(self, *, ignore_nulls: Literal[True] = ...) -> Handle[bool]: ...
    @overload
    def all(self, *, ignore_nulls: bool) -> Handle[bool | None]:
        """Return whether all values in the column are `True`."""
    @overload
    def any(self, *, ignore_nulls: Literal[True] = ...) -> Handle[bool]: ...
    @overload
    def any(self, *, ignore_nulls: bool) -> Handle[bool | None]:
        """Return whether any of the values in the column are `True`."""
    def approx_n_unique(self) -> Handle[PythonLiteral | None]:
        """Approximate count of unique values."""
    def approx_quantile(
        self,
        quantile: float | _list[float],
        *,
        method: ApproxQuantileMethod = "auto",
        error: float = 0.001,
        error_tightness: ApproxQuantileErrorBound = "empirical",
    ) -> Handle[PythonLiteral | _list[PythonLiteral]]:
        """Compute approximate quantile(s) of this Series."""
    def arccos(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse cosine."""
    def arccosh(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse hyperbolic cosine."""
    def arcsin(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse sine."""
    def arcsinh(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse hyperbolic sine."""
    def arctan(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse tangent."""
    def arctanh(self) -> RemoteSeries:
        """Compute the element-wise value for the inverse hyperbolic tangent."""
    def arg_max(self) -> Handle[int | None]:
        """Get an index of a maximal value."""
    def arg_min(self) -> Handle[int | None]:
        """Get an index of a minimal value."""
    def arg_sort(self, *, descending: bool = False, nulls_last: bool = False) -> RemoteSeries:
        """Get the index values that would sort this Series."""
    def arg_true(self) -> RemoteSeries:
        """Get index values where Boolean Series evaluate True."""
    def arg_unique(self) -> RemoteSeries:
        """Get unique index as Series."""
    @property
    def arr(self) -> RemoteArrNamespace:
        """Create an object namespace of all array related methods."""
    def backward_fill(self, limit: int | None = None) -> RemoteSeries:
        """Fill missing values with the next non-null value."""
    @property
    def bin(self) -> RemoteBinNamespace:
        """Create an object namespace of all binary related methods."""
    def bin_intervals(
        self,
        intervals: Sequence[Any] | pl.Series | RemoteSeries | int,
        *,
        labels: Sequence[_str] | Literal[False],
        include_intervals: bool = False,
        right_closed: bool = False,
    ) -> RemoteSeries:
        """Bin values into discrete intervals delimited by breakpoints."""
    def bin_quantiles(
        self,
        quantiles: Sequence[float] | int,
        *,
        labels: Sequence[_str] | Literal[False],
        include_intervals: bool = False,
        right_closed: bool = False,
    ) -> RemoteSeries:
        """Bin values into discrete intervals delimited by quantiles of the data."""
    def bin_ranks(
        self, ranks: Sequence[float] | int, *, labels: Sequence[_str] | Literal[False], include_intervals: bool = False
    ) -> RemoteSeries:
        """Bin values by their position in sorted order."""
    def bitwise_and(self) -> Handle[PythonLiteral | None]:
        """Perform an aggregation of bitwise ANDs."""
    def bitwise_count_ones(self) -> RemoteSeries:
        """Evaluate the number of set bits."""
    def bitwise_count_zeros(self) -> RemoteSeries:
        """Evaluate the number of unset bits."""
    def bitwise_leading_ones(self) -> RemoteSeries:
        """Evaluate the number most-significant set bits before seeing an unset bit."""
    def bitwise_leading_zeros(self) -> RemoteSeries:
        """Evaluate the number most-significant unset bits before seeing a set bit."""
    def bitwise_or(self) -> Handle[PythonLiteral | None]:
        """Perform an aggregation of bitwise ORs."""
    def bitwise_trailing_ones(self) -> RemoteSeries:
        """Evaluate the number least-significant set bits before seeing an unset bit."""
    def bitwise_trailing_zeros(self) -> RemoteSeries:
        """Evaluate the number least-significant unset bits before seeing a set bit."""
    def bitwise_xor(self) -> Handle[PythonLiteral | None]:
        """Perform an aggregation of bitwise XORs."""
    def bottom_k(self, k: int = 5) -> RemoteSeries:
        """Return the `k` smallest elements."""
    def bottom_k_by(
        self,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        k: int = 5,
        *,
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteSeries:
        """Return the `k` smallest elements of the `by` column."""
    def cast(
        self,
        dtype: type[int | float | _str | bool] | PolarsDataType,
        *,
        strict: bool = True,
        wrap_numerical: bool = False,
    ) -> RemoteSeries:
        """Cast between data types."""
    @property
    def cat(self) -> RemoteCatNamespace:
        """Create an object namespace of all categorical related methods."""
    def cbrt(self) -> RemoteSeries:
        """Compute the cube root of the elements."""
    def ceil(self) -> RemoteSeries:
        """Rounds up to the nearest integer value."""
    def chunk_lengths(self) -> Handle[_list[int]]:
        """Get the length of each individual chunk."""
    def clear(self, n: int = 0) -> RemoteSeries:
        """Create an empty copy of the current Series, with zero to 'n' elements."""
    def clip(
        self,
        lower_bound: NumericLiteral | TemporalLiteral | IntoExprColumn | RemoteSeries | None = None,
        upper_bound: NumericLiteral | TemporalLiteral | IntoExprColumn | RemoteSeries | None = None,
    ) -> RemoteSeries:
        """Set values outside the given boundaries to the boundary value."""
    def clone(self) -> RemoteSeries:
        """Create a copy of this Series."""
    def cos(self) -> RemoteSeries:
        """Compute the element-wise value for the cosine."""
    def cosh(self) -> RemoteSeries:
        """Compute the element-wise value for the hyperbolic cosine."""
    def cot(self) -> RemoteSeries:
        """Compute the element-wise value for the cotangent."""
    def count(self) -> Handle[int]:
        """Return the number of non-null elements in the column."""
    def cum_count(self, *, reverse: bool = False) -> RemoteSeries:
        """Return the cumulative count of the non-null values in the column."""
    def cum_max(self, *, reverse: bool = False) -> RemoteSeries:
        """Get an array with the cumulative max computed at every element."""
    def cum_min(self, *, reverse: bool = False) -> RemoteSeries:
        """Get an array with the cumulative min computed at every element."""
    def cum_prod(self, *, reverse: bool = False) -> RemoteSeries:
        """Get an array with the cumulative product computed at every element."""
    def cum_sum(self, *, reverse: bool = False) -> RemoteSeries:
        """Get an array with the cumulative sum computed at every element."""
    def cumulative_eval(self, expr: pl.Expr, *, min_samples: int = 1, parallel: bool = False) -> RemoteSeries:
        """Run an expression over a sliding window that increases `1` slot every iteration."""
    def cut(
        self,
        breaks: Sequence[float],
        *,
        labels: Sequence[_str] | None = None,
        left_closed: bool = False,
        include_breaks: bool = False,
    ) -> RemoteSeries:
        """Bin continuous values into discrete categories."""
    def degrees(self) -> RemoteSeries:
        """Convert from radians to degrees."""
    def describe(
        self, percentiles: Sequence[float] | float | None = ..., interpolation: QuantileMethod = "nearest"
    ) -> RemoteDataFrame:
        """Quick summary statistics of a Series."""
    def diff(self, n: int = 1, null_behavior: NullBehavior = "ignore") -> RemoteSeries:
        """Calculate the first discrete difference between shifted items."""
    def dot(self, other: pl.Series | RemoteSeries | ArrayLike) -> Handle[int | float | None]:
        """Compute the dot/inner product between two Series."""
    def drop_nans(self) -> RemoteSeries:
        """Drop all floating point NaN values."""
    def drop_nulls(self) -> RemoteSeries:
        """Drop all null values."""
    @property
    def dt(self) -> RemoteDtNamespace:
        """Create an object namespace of all datetime related methods."""
    @property
    def dtype(self) -> Handle[pl.DataType]:
        """Get the data type of this Series."""
    def entropy(self, base: float = ..., *, normalize: bool = True) -> Handle[float | None]:
        """Computes the entropy."""
    def eq(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series == other`."""
    def eq_missing(self, other: Any) -> RemoteSeries:
        """Method equivalent of equality operator `series == other` where `None == None`."""
    def equals(
        self,
        other: pl.Series | RemoteSeries,
        *,
        check_dtypes: bool = False,
        check_names: bool = False,
        null_equal: bool = True,
    ) -> Handle[bool]:
        """Check whether the Series is equal to another Series."""
    def erf(self) -> RemoteSeries:
        """Compute the error function, element-wise."""
    def erfc(self) -> RemoteSeries:
        """Compute the complementary error function, element-wise."""
    def estimated_size(self, unit: SizeUnit = "b") -> Handle[int | float]:
        """Return an estimation of the total (heap) allocated size of the Series."""
    def ewm_mean(
        self,
        *,
        com: float | None = None,
        span: float | None = None,
        half_life: float | None = None,
        alpha: float | None = None,
        adjust: bool = True,
        min_samples: int = 1,
        ignore_nulls: bool = False,
    ) -> RemoteSeries:
        """Compute exponentially-weighted moving average."""
    def ewm_mean_by(self, by: IntoExpr | RemoteSeries, *, half_life: _str | timedelta) -> RemoteSeries:
        """Compute time-based exponentially weighted moving average."""
    def ewm_std(
        self,
        *,
        com: float | None = None,
        span: float | None = None,
        half_life: float | None = None,
        alpha: float | None = None,
        adjust: bool = True,
        bias: bool = False,
        min_samples: int = 1,
        ignore_nulls: bool = False,
    ) -> RemoteSeries:
        """Compute exponentially-weighted moving standard deviation."""
    def ewm_sum(
        self,
        *,
        com: float | None = None,
        span: float | None = None,
        half_life: float | None = None,
        alpha: float | None = None,
        min_samples: int = 1,
        ignore_nulls: bool = False,
    ) -> RemoteSeries:
        """Compute exponentially-weighted moving sum."""
    def ewm_sum_by(self, by: IntoExpr | RemoteSeries, *, half_life: _str | timedelta) -> RemoteSeries:
        """Compute time-based exponentially weighted moving sum."""
    def ewm_var(
        self,
        *,
        com: float | None = None,
        span: float | None = None,
        half_life: float | None = None,
        alpha: float | None = None,
        adjust: bool = True,
        bias: bool = False,
        min_samples: int = 1,
        ignore_nulls: bool = False,
    ) -> RemoteSeries:
        """Compute exponentially-weighted moving variance."""
    def exp(self) -> RemoteSeries:
        """Compute the exponential, element-wise."""
    def explode(self, *, empty_as_null: bool | None = True, keep_nulls: bool = True) -> RemoteSeries:
        """Explode a list Series."""
    @property
    def ext(self) -> RemoteExtNamespace:
        """Create an object namespace of all extension type related methods."""
    def extend_constant(
        self, value: IntoExpr | RemoteSeries, n: int | IntoExprColumn | RemoteSeries
    ) -> RemoteSeries:
        """Extremely fast method for extending the Series with 'n' copies of a value."""
    def fill_nan(self, value: int | float | pl.Expr | None) -> RemoteSeries:
        """Fill floating point NaN value with a fill value."""
    def fill_null(
        self, value: Any | pl.Expr | None = None, strategy: FillNullStrategy | None = None, limit: int | None = None
    ) -> RemoteSeries:
        """Fill null values using the specified value or strategy."""
    def filter(self, predicate: pl.Series | RemoteSeries | Iterable[bool]) -> RemoteSeries:
        """Filter elements by a boolean mask."""
    def first(self, *, ignore_nulls: bool = False) -> Handle[PythonLiteral | None]:
        """Get the first element of the Series."""
    @property
    def flags(self) -> Handle[dict[_str, bool]]:
        """Get flags that are set on the Series."""
    def floor(self) -> RemoteSeries:
        """Rounds down to the nearest integer value."""
    def forward_fill(self, limit: int | None = None) -> RemoteSeries:
        """Fill missing values with the last non-null value."""
    def gather(
        self,
        indices: int | _list[int] | pl.Expr | pl.Series | RemoteSeries | np.ndarray[Any, Any],
        *,
        null_on_oob: bool = False,
    ) -> RemoteSeries:
        """Take values by index."""
    def gather_every(self, n: int, offset: int = 0) -> RemoteSeries:
        """Take every nth value in the Series and return as new Series."""
    def ge(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series >= other`."""
    def get_chunks(self) -> Handle[_list[RemoteSeries]]:
        """Get the chunks of this Series as a list of Series."""
    def gt(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series > other`."""
    def has_nulls(self) -> Handle[bool]:
        """Check whether the Series contains one or more null values."""
    def hash(self, seed: int = 0) -> RemoteSeries:
        """Hash the Series."""
    def head(self, n: int = 10) -> RemoteSeries:
        """Get the first `n` elements."""
    def hist(
        self,
        bins: _list[float] | None = None,
        *,
        bin_count: int | None = None,
        include_category: bool = True,
        include_breakpoint: bool = True,
    ) -> RemoteDataFrame:
        """Bin values into buckets and count their occurrences."""
    def implode(self) -> RemoteSeries:
        """Aggregate values into a list."""
    def index_of(self, element: IntoExpr | RemoteSeries) -> Handle[int | None]:
        """Get the index of the first occurrence of a value, or ``None`` if it's not found."""
    def interpolate(self, method: InterpolationMethod = "linear") -> RemoteSeries:
        """Interpolate intermediate values."""
    def interpolate_by(self, by: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Interpolate intermediate values with x-coordinate based on another column."""
    def is_between(
        self,
        lower_bound: IntoExpr | RemoteSeries,
        upper_bound: IntoExpr | RemoteSeries,
        closed: ClosedInterval = "both",
    ) -> RemoteSeries:
        """Get a boolean mask of the values that are between the given lower/upper bounds."""
    def is_close(
        self, other: IntoExpr | RemoteSeries, *, abs_tol: float = 0.0, rel_tol: float = 1e-09, nans_equal: bool = False
    ) -> RemoteSeries:
        """Get a boolean mask of the values being close to the other values."""
    def is_duplicated(self) -> RemoteSeries:
        """Get mask of all duplicated values."""
    def is_empty(self, *, ignore_nulls: bool = False) -> Handle[bool]:
        """Check if the Series is empty."""
    def is_finite(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are finite."""
    def is_first_distinct(self) -> RemoteSeries:
        """Return a boolean mask indicating the first occurrence of each distinct value."""
    def is_in(
        self, other: pl.Series | RemoteSeries | Collection[Any], *, nulls_equal: bool = False
    ) -> RemoteSeries:
        """Check if elements of this Series are in the other Series."""
    def is_infinite(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are infinite."""
    def is_last_distinct(self) -> RemoteSeries:
        """Return a boolean mask indicating the last occurrence of each distinct value."""
    def is_nan(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are NaN."""
    def is_not_nan(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are not NaN."""
    def is_not_null(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are not null."""
    def is_null(self) -> RemoteSeries:
        """Returns a boolean Series indicating which values are null."""
    def is_sorted(self, *, descending: bool = False, nulls_last: bool = False) -> Handle[bool]:
        """Check if the Series is sorted."""
    def is_unique(self) -> RemoteSeries:
        """Get mask of all unique values."""
    def item(self, index: int | None = None) -> Handle[Any]:
        """Return the Series as a scalar, or return the element at the given index."""
    def kurtosis(self, *, fisher: bool = True, bias: bool = True) -> Handle[float | None]:
        """Compute the kurtosis (Fisher or Pearson) of a dataset."""
    def last(self, *, ignore_nulls: bool = False) -> Handle[PythonLiteral | None]:
        """Get the last element of the Series."""
    def le(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series <= other`."""
    def len(self) -> Handle[int]:
        """Return the number of elements in the Series."""
    def limit(self, n: int = 10) -> RemoteSeries:
        """Get the first `n` elements."""
    @property
    def list(self) -> RemoteListNamespace:
        """Create an object namespace of all list related methods."""
    def log(self, base: float | pl.Series | RemoteSeries = ...) -> RemoteSeries:
        """Compute the logarithm to a given base."""
    def log10(self) -> RemoteSeries:
        """Compute the base 10 logarithm of the input array, element-wise."""
    def log1p(self) -> RemoteSeries:
        """Compute the natural logarithm of the input array plus one, element-wise."""
    def lower_bound(self) -> RemoteSeries:
        """Return the lower bound of this Series' dtype as a unit Series."""
    def lt(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series < other`."""
    @property
    def map(self) -> RemoteMapNamespace:
        """Create an object namespace of all map related methods."""
    def map_elements(
        self,
        function: Callable[[Any], Any],
        return_dtype: PolarsDataType | None = None,
        *,
        skip_nulls: bool = True,
        _disable_inefficient_map_warning: bool = False,
    ) -> RemoteSeries:
        """Map a custom/user-defined function (UDF) over elements in this Series."""
    def max(self) -> Handle[PythonLiteral | None]:
        """Get the maximum value in this Series."""
    def max_by(self, by: IntoExpr | RemoteSeries) -> Handle[Any]:
        """Get the maximum value in this Series, ordered by an expression."""
    def mean(self) -> Handle[PythonLiteral | None]:
        """Reduce this Series to the mean value."""
    def median(self) -> Handle[PythonLiteral | None]:
        """Get the median of this Series."""
    def min(self) -> Handle[PythonLiteral | None]:
        """Get the minimal value in this Series."""
    def min_by(self, by: IntoExpr | RemoteSeries) -> Handle[Any]:
        """Get the minimum value in this Series, ordered by an expression."""
    def mode(self, *, maintain_order: bool = False) -> RemoteSeries:
        """Compute the most occurring value(s)."""
    def n_chunks(self) -> Handle[int]:
        """Get the number of chunks that this Series contains."""
    def n_unique(self) -> Handle[int]:
        """Count the number of unique values in this Series."""
    @property
    def name(self) -> Handle[_str]:
        """Get the name of this Series."""
    def nan_max(self) -> Handle[int | float | date | datetime | timedelta | _str]:
        """Get maximum value, but propagate/poison encountered NaN values."""
    def nan_min(self) -> Handle[int | float | date | datetime | timedelta | _str]:
        """Get minimum value, but propagate/poison encountered NaN values."""
    def ne(self, other: Any) -> RemoteSeries:
        """Method equivalent of operator expression `series != other`."""
    def ne_missing(self, other: Any) -> RemoteSeries:
        """Method equivalent of equality operator `series != other` where `None == None`."""
    def new_from_index(self, index: int, length: int) -> RemoteSeries:
        """Create a new Series filled with values from the given index."""
    def not_(self) -> RemoteSeries:
        """Negate a boolean Series."""
    def null_count(self) -> Handle[int]:
        """Count the null values in this Series."""
    def pct_change(self, n: int | IntoExprColumn | RemoteSeries = 1) -> RemoteSeries:
        """Computes percentage change between values."""
    def peak_max(self) -> RemoteSeries:
        """Get a boolean mask of the local maximum peaks."""
    def peak_min(self) -> RemoteSeries:
        """Get a boolean mask of the local minimum peaks."""
    def pow(self, exponent: int | float | pl.Series | RemoteSeries) -> RemoteSeries:
        """Raise to the power of the given exponent."""
    def product(self) -> Handle[int | float]:
        """Reduce this Series to the product value."""
    def qcut(
        self,
        quantiles: Sequence[float] | int,
        *,
        labels: Sequence[_str] | None = None,
        left_closed: bool = False,
        allow_duplicates: bool = False,
        include_breaks: bool = False,
    ) -> RemoteSeries:
        """Bin continuous values into discrete categories based on their quantiles."""
    @overload
    def quantile(
        self, quantile: _list[float], interpolation: QuantileMethod = ...
    ) -> Handle[_list[float] | _list[None]]: ...
    @overload
    def quantile(self, quantile: float, interpolation: QuantileMethod = ...) -> Handle[float | None]:
        """Get the quantile value of this Series."""
    def radians(self) -> RemoteSeries:
        """Convert from degrees to radians."""
    def rank(
        self, method: RankMethod = "average", *, descending: bool = False, seed: int | None = None
    ) -> RemoteSeries:
        """Assign ranks to data, dealing with ties appropriately."""
    def rechunk(self, *, in_place: bool = False) -> RemoteSeries:
        """Create a single chunk of memory for this Series."""
    def reinterpret(
        self, *, signed: bool | None = None, dtype: type[int | float] | PolarsDataType | None = None
    ) -> RemoteSeries:
        """Reinterpret the underlying bits as a signed/unsigned integer, float or decimal."""
    def rename(self, name: _str) -> RemoteSeries:
        """Rename this Series."""
    def repeat_by(self, by: int | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Repeat the elements in this Series as specified in the given expression."""
    def replace(
        self,
        old: IntoExpr | RemoteSeries | Sequence[Any] | Mapping[Any, Any],
        new: IntoExpr | RemoteSeries | Sequence[Any] | NoDefault = ...,
    ) -> RemoteSeries:
        """Replace values by different values of the same data type."""
    def replace_strict(
        self,
        old: IntoExpr | RemoteSeries | Sequence[Any] | Mapping[Any, Any],
        new: IntoExpr | RemoteSeries | Sequence[Any] | NoDefault = ...,
        *,
        default: IntoExpr | RemoteSeries | NoDefault = ...,
        return_dtype: PolarsDataType | None = None,
    ) -> RemoteSeries:
        """Replace all values by different values."""
    def reshape(self, dimensions: tuple[int, ...]) -> RemoteSeries:
        """Reshape this Series to a flat Series or an Array Series."""
    def reverse(self) -> RemoteSeries:
        """Return Series in reverse order."""
    def rle(self) -> RemoteSeries:
        """Compress the Series data using run-length encoding."""
    def rle_id(self) -> RemoteSeries:
        """Get a distinct integer ID for each run of identical values."""
    def rolling_kurtosis(
        self,
        window_size: int,
        *,
        fisher: bool = True,
        bias: bool = True,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Compute a rolling kurtosis."""
    def rolling_map(
        self,
        function: Callable[[pl.Series], Any],
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Compute a custom rolling window function."""
    def rolling_max(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Apply a rolling max (moving max) over the values in this array."""
    def rolling_max_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling max based on another series."""
    def rolling_mean(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Apply a rolling mean (moving mean) over the values in this array."""
    def rolling_mean_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling mean based on another series."""
    def rolling_median(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Compute a rolling median."""
    def rolling_median_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling median based on another series."""
    def rolling_min(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Apply a rolling min (moving min) over the values in this array."""
    def rolling_min_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling min based on another series."""
    def rolling_quantile(
        self,
        quantile: float,
        interpolation: QuantileMethod = "nearest",
        window_size: int = 2,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Compute a rolling quantile."""
    def rolling_quantile_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        quantile: float,
        interpolation: QuantileMethod = "nearest",
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling quantile based on another series."""
    def rolling_rank(
        self,
        window_size: int,
        method: RankMethod = "average",
        *,
        seed: int | None = None,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Compute a rolling rank."""
    def rolling_rank_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        method: RankMethod = "average",
        *,
        seed: int | None = None,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling rank based on another column."""
    def rolling_skew(
        self, window_size: int, *, bias: bool = True, min_samples: int | None = None, center: bool = False
    ) -> RemoteSeries:
        """Compute a rolling skew."""
    def rolling_std(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
        ddof: int = 1,
    ) -> RemoteSeries:
        """Compute a rolling std dev."""
    def rolling_std_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
        ddof: int = 1,
    ) -> RemoteSeries:
        """Compute a rolling standard deviation based on another series."""
    def rolling_sum(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
    ) -> RemoteSeries:
        """Apply a rolling sum (moving sum) over the values in this array."""
    def rolling_sum_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 0,
        closed: ClosedInterval = "right",
    ) -> RemoteSeries:
        """Compute a rolling sum based on another series."""
    def rolling_var(
        self,
        window_size: int,
        weights: _list[float] | None = None,
        *,
        min_samples: int | None = None,
        center: bool = False,
        ddof: int = 1,
    ) -> RemoteSeries:
        """Compute a rolling variance."""
    def rolling_var_by(
        self,
        by: IntoExpr | RemoteSeries,
        window_size: timedelta | _str,
        *,
        min_samples: int = 1,
        closed: ClosedInterval = "right",
        ddof: int = 1,
    ) -> RemoteSeries:
        """Compute a rolling variance based on another series."""
    def round(self, decimals: int = 0, mode: RoundMode = "half_to_even") -> RemoteSeries:
        """Round underlying floating point data by `decimals` digits."""
    def round_sig_figs(self, digits: int) -> RemoteSeries:
        """Round to a number of significant figures."""
    def sample(
        self,
        n: int | None = None,
        *,
        fraction: float | None = None,
        with_replacement: bool = False,
        shuffle: bool | None = None,
        seed: int | None = None,
    ) -> RemoteSeries:
        """Sample from this Series."""
    @overload
    def search_sorted(
        self, element: NonNestedLiteral | None, side: SearchSortedSide = ..., *, descending: bool = ...
    ) -> Handle[int]: ...
    @overload
    def search_sorted(
        self,
        element: np.ndarray[Any, Any] | pl.Expr | pl.Series | RemoteSeries,
        side: SearchSortedSide = ...,
        *,
        descending: bool = ...,
    ) -> Handle[RemoteSeries]:
        """Find indices where elements should be inserted to maintain order."""
    def set(self, filter: pl.Series | RemoteSeries, value: Any) -> RemoteSeries:
        """Set masked values."""
    def set_sorted(self, *, descending: bool = False) -> RemoteSeries:
        """Flags the Series as 'sorted'."""
    @property
    def shape(self) -> Handle[tuple[int]]:
        """Shape of this Series."""
    def shift(self, n: int = 1, *, fill_value: IntoExpr | RemoteSeries | None = None) -> RemoteSeries:
        """Shift values by the given number of indices."""
    def shrink_dtype(self) -> RemoteSeries:
        """Shrink numeric columns to the minimal required datatype."""
    def shrink_to_fit(self, *, in_place: bool = False) -> RemoteSeries:
        """Shrink Series memory usage."""
    def shuffle(self, seed: int | None = None) -> RemoteSeries:
        """Shuffle the contents of this Series."""
    def sign(self) -> RemoteSeries:
        """Compute the element-wise sign function on numeric types."""
    def sin(self) -> RemoteSeries:
        """Compute the element-wise value for the sine."""
    def sinh(self) -> RemoteSeries:
        """Compute the element-wise value for the hyperbolic sine."""
    def skew(self, *, bias: bool = True) -> Handle[float | None]:
        """Compute the sample skewness of a data set."""
    def slice(self, offset: int, length: int | None = None) -> RemoteSeries:
        """Get a slice of this Series."""
    def sort(
        self, *, descending: bool = False, nulls_last: bool = False, multithreaded: bool = True, in_place: bool = False
    ) -> RemoteSeries:
        """Sort this Series."""
    def sql(self, query: _str, *, table_name: _str = "self") -> RemoteDataFrame:
        """Execute a SQL query against the Series."""
    def sqrt(self) -> RemoteSeries:
        """Compute the square root of the elements."""
    def std(self, ddof: int = 1) -> Handle[float | timedelta | None]:
        """Get the standard deviation of this Series."""
    @property
    def str(self) -> RemoteStrNamespace:
        """Create an object namespace of all string related methods."""
    @property
    def struct(self) -> RemoteStructNamespace:
        """Create an object namespace of all struct related methods."""
    def sum(self) -> Handle[int | float | Decimal]:
        """Reduce this Series to the sum value."""
    def tail(self, n: int = 10) -> RemoteSeries:
        """Get the last `n` elements."""
    def tan(self) -> RemoteSeries:
        """Compute the element-wise value for the tangent."""
    def tanh(self) -> RemoteSeries:
        """Compute the element-wise value for the hyperbolic tangent."""
    def to_arrow(self, *, compat_level: pl.CompatLevel | None = None) -> Handle[pa.Array]:
        """Return the underlying Arrow array."""
    def to_dummies(
        self, *, separator: _str = "_", drop_first: bool = False, drop_nulls: bool = False
    ) -> RemoteDataFrame:
        """Get dummy/indicator variables."""
    def to_frame(self, name: _str | None = None) -> RemoteDataFrame:
        """Cast this Series to a DataFrame."""
    def to_init_repr(self, n: int = 1000) -> Handle[_str]:
        """Convert Series to instantiable string representation."""
    def to_jax(self, device: Any | _str | None = None) -> Handle[Any]:
        """Convert this Series to a Jax Array."""
    def to_list(self) -> Handle[_list[Any]]:
        """Convert this Series to a Python list."""
    @overload
    def to_numpy(
        self, *, writable: bool = ..., allow_copy: bool = ..., masked: Literal[False] = ...
    ) -> Handle[np.ndarray[Any, Any]]: ...
    @overload
    def to_numpy(
        self, *, writable: bool = ..., allow_copy: bool = ..., masked: Literal[True]
    ) -> Handle[_numpy_ma.MaskedArray[Any, Any]]: ...
    @overload
    def to_numpy(
        self, *, writable: bool = ..., allow_copy: bool = ..., masked: bool
    ) -> Handle[np.ndarray[Any, Any]]:
        """Convert this Series to a NumPy ndarray."""
    def to_pandas(self, *, use_pyarrow_extension_array: bool = False, **kwargs: Any) -> Handle[pd.Series[Any]]:
        """Convert this Series to a pandas Series."""
    def to_physical(self) -> RemoteSeries:
        """Cast to physical representation of the logical dtype."""
    def to_torch(self) -> Handle[Any]:
        """Convert this Series to a PyTorch Tensor."""
    def top_k(self, k: int = 5) -> RemoteSeries:
        """Return the `k` largest elements."""
    def top_k_by(
        self,
        by: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        k: int = 5,
        *,
        reverse: bool | Sequence[bool] = False,
    ) -> RemoteSeries:
        """Return the `k` largest elements of the `by` column."""
    def truncate(self, decimals: int = 0) -> RemoteSeries:
        """Truncate numeric data toward zero to `decimals` number of decimal places."""
    def unique(self, *, maintain_order: bool = False) -> RemoteSeries:
        """Get unique elements in series."""
    def unique_counts(self) -> RemoteSeries:
        """Return a count of the unique values in the order of appearance."""
    def upper_bound(self) -> RemoteSeries:
        """Return the upper bound of this Series' dtype as a unit Series."""
    def value_counts(
        self, *, sort: bool = False, parallel: bool = False, name: _str | None = None, normalize: bool = False
    ) -> RemoteDataFrame:
        """Count the occurrences of unique values."""
    def var(self, ddof: int = 1) -> Handle[float | timedelta | None]:
        """Get variance of this Series."""
    def zip_with(self, mask: pl.Series | RemoteSeries, other: pl.Series | RemoteSeries) -> RemoteSeries:
        """Take values from self or other based on the given mask."""
    def __eq__(self, other: object) -> RemoteSeries: ...
    def __ne__(self, other: object) -> RemoteSeries: ...
    def __lt__(self, other: Any) -> RemoteSeries: ...
    def __le__(self, other: Any) -> RemoteSeries: ...
    def __gt__(self, other: Any) -> RemoteSeries: ...
    def __ge__(self, other: Any) -> RemoteSeries: ...
    def __abs__(self) -> RemoteSeries: ...
    def __neg__(self) -> RemoteSeries: ...
    def __pos__(self) -> RemoteSeries: ...
    def __invert__(self) -> RemoteSeries: ...
    def __matmul__(self, other: Any) -> Handle[float | RemoteSeries | None]: ...
    @overload
    def __add__(self, other: pl.DataFrame | RemoteDataFrame) -> RemoteDataFrame: ...
    @overload
    def __add__(self, other: Any) -> RemoteSeries: ...
    def __radd__(self, other: Any) -> RemoteSeries: ...
    def __sub__(self, other: Any) -> RemoteSeries: ...
    def __rsub__(self, other: Any) -> RemoteSeries: ...
    @overload
    def __mul__(self, other: pl.DataFrame | RemoteDataFrame) -> RemoteDataFrame: ...
    @overload
    def __mul__(self, other: Any) -> RemoteSeries: ...
    def __rmul__(self, other: Any) -> RemoteSeries: ...
    def __truediv__(self, other: Any) -> RemoteSeries: ...
    def __rtruediv__(self, other: Any) -> RemoteSeries: ...
    def __floordiv__(self, other: Any) -> RemoteSeries: ...
    def __rfloordiv__(self, other: Any) -> RemoteSeries: ...
    def __mod__(self, other: Any) -> RemoteSeries: ...
    def __rmod__(self, other: Any) -> RemoteSeries: ...
    def __pow__(self, exponent: int | float | pl.Series | RemoteSeries) -> RemoteSeries: ...
    def __rpow__(self, other: Any) -> RemoteSeries: ...
    def __and__(self, other: Any) -> RemoteSeries: ...
    def __rand__(self, other: Any) -> RemoteSeries: ...
    def __or__(self, other: Any) -> RemoteSeries: ...
    def __ror__(self, other: Any) -> RemoteSeries: ...
    def __xor__(self, other: Any) -> RemoteSeries: ...
    def __rxor__(self, other: Any) -> RemoteSeries: ...
    def __rmatmul__(self, other: Any) -> Handle[float | RemoteSeries | None]: ...
    @overload
    def __getitem__(self, key: SingleIndexSelector) -> Handle[Any]: ...
    @overload
    def __getitem__(self, key: MultiIndexSelector | RemoteSeries) -> RemoteSeries: ...
    def __setitem__(
        self, key: int | pl.Series | RemoteSeries | np.ndarray[Any, Any] | Sequence[object] | tuple[object], value: Any
    ) -> None: ...

class GroupByMethods:
    """`polars.dataframe.group_by.GroupBy`'s, of a RemoteGroupBy."""

    def agg(
        self, *aggs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries], **named_aggs: IntoExpr | RemoteSeries
    ) -> RemoteDataFrame:
        """Compute aggregations for each group of a group by operation."""
    def all(self) -> RemoteDataFrame:
        """Aggregate the groups into Series."""
    def first(self, *, ignore_nulls: bool = False) -> RemoteDataFrame:
        """Aggregate the first values in the group."""
    def having(self, *predicates: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries]) -> RemoteGroupBy:
        """Filter groups with a list of predicates after aggregation."""
    def head(self, n: int = 5) -> RemoteDataFrame:
        """Get the first `n` rows of each group."""
    def last(self, *, ignore_nulls: bool = False) -> RemoteDataFrame:
        """Aggregate the last values in the group."""
    def len(self, name: str | None = None) -> RemoteDataFrame:
        """Return the number of rows in each group."""
    def map_groups(self, function: Callable[[pl.DataFrame], pl.DataFrame]) -> RemoteDataFrame:
        """Apply a custom/user-defined function (UDF) over the groups as a sub-DataFrame."""
    def max(self) -> RemoteDataFrame:
        """Reduce the groups to the maximal value."""
    def mean(self) -> RemoteDataFrame:
        """Reduce the groups to the mean values."""
    def median(self) -> RemoteDataFrame:
        """Return the median per group."""
    def min(self) -> RemoteDataFrame:
        """Reduce the groups to the minimal value."""
    def n_unique(self) -> RemoteDataFrame:
        """Count the unique values per group."""
    def quantile(self, quantile: float, interpolation: QuantileMethod = "nearest") -> RemoteDataFrame:
        """Compute the quantile per group."""
    def sum(self) -> RemoteDataFrame:
        """Reduce the groups to the sum."""
    def tail(self, n: int = 5) -> RemoteDataFrame:
        """Get the last `n` rows of each group."""

class WindowGroupByMethods:
    """`polars.dataframe.group_by.RollingGroupBy`'s, from afar."""

    def agg(
        self, *aggs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries], **named_aggs: IntoExpr | RemoteSeries
    ) -> RemoteDataFrame:
        """Compute aggregations for each group of a group by operation."""
    def having(
        self, *predicates: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries]
    ) -> RemoteWindowGroupBy:
        """Filter groups with a list of predicates after aggregation."""
    def map_groups(
        self, function: Callable[[pl.DataFrame], pl.DataFrame], schema: SchemaDict | None
    ) -> RemoteDataFrame:
        """Apply a custom/user-defined function (UDF) over the groups as a new DataFrame."""

class LazyGroupByMethods:
    """`polars.lazyframe.group_by.LazyGroupBy`'s, of a RemoteLazyGroupBy."""

    def agg(
        self, *aggs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries], **named_aggs: IntoExpr | RemoteSeries
    ) -> RemoteLazyFrame:
        """Compute aggregations for each group of a group by operation."""
    def all(self) -> RemoteLazyFrame:
        """Aggregate the groups into Series."""
    def first(self, *, ignore_nulls: bool = False) -> RemoteLazyFrame:
        """Aggregate the first values in the group."""
    def having(self, *predicates: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries]) -> RemoteLazyGroupBy:
        """Filter groups with a list of predicates after aggregation."""
    def head(self, n: int = 5) -> RemoteLazyFrame:
        """Get the first `n` rows of each group."""
    def last(self, *, ignore_nulls: bool = False) -> RemoteLazyFrame:
        """Aggregate the last values in the group."""
    def len(self, name: str | None = None) -> RemoteLazyFrame:
        """Return the number of rows in each group."""
    def map_groups(
        self, function: Callable[[pl.DataFrame], pl.DataFrame], schema: SchemaDict | None
    ) -> RemoteLazyFrame:
        """Apply a custom/user-defined function (UDF) over the groups as a new DataFrame."""
    def max(self) -> RemoteLazyFrame:
        """Reduce the groups to the maximal value."""
    def mean(self) -> RemoteLazyFrame:
        """Reduce the groups to the mean values."""
    def median(self) -> RemoteLazyFrame:
        """Return the median per group."""
    def min(self) -> RemoteLazyFrame:
        """Reduce the groups to the minimal value."""
    def n_unique(self) -> RemoteLazyFrame:
        """Count the unique values per group."""
    def quantile(self, quantile: float, interpolation: QuantileMethod = "nearest") -> RemoteLazyFrame:
        """Compute the quantile per group."""
    def sum(self) -> RemoteLazyFrame:
        """Reduce the groups to the sum."""
    def tail(self, n: int = 5) -> RemoteLazyFrame:
        """Get the last `n` rows of each group."""

class RemoteArrNamespace:
    """`polars.Series.arr`, from afar."""

    def agg(self, expr: pl.Expr) -> RemoteSeries:
        """Run any polars aggregation expression against the arrays' elements."""
    def all(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Evaluate whether all boolean values are true for every subarray."""
    def any(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Evaluate whether any boolean value is true for every subarray."""
    def arg_max(self) -> RemoteSeries:
        """Retrieve an index of a maximum value in every sub-array."""
    def arg_min(self) -> RemoteSeries:
        """Retrieve an index of a minimal value in every sub-array."""
    def contains(self, item: IntoExpr | RemoteSeries, *, nulls_equal: bool = True) -> RemoteSeries:
        """Check if sub-arrays contain the given item."""
    def count_matches(self, element: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Count how often the value produced by `element` occurs."""
    def dot(self, other: IntoExpr | RemoteSeries | Sequence[Any]) -> RemoteSeries:
        """Compute row-wise dot product with another Array Series or query vector."""
    def eval(self, expr: pl.Expr, *, as_list: bool = False) -> RemoteSeries:
        """Run any polars expression against the arrays' elements."""
    def explode(self, *, empty_as_null: bool | None = None, keep_nulls: bool = True) -> RemoteSeries:
        """Returns a column with a separate row for every array element."""
    def first(self) -> RemoteSeries:
        """Get the first value of the sub-arrays."""
    def get(self, index: int | IntoExprColumn | RemoteSeries, *, null_on_oob: bool = False) -> RemoteSeries:
        """Get the value by index in the sub-arrays."""
    def head(self, n: int | pl.Expr = 5, *, as_array: bool = False) -> RemoteSeries:
        """Get the first `n` elements of the sub-arrays."""
    def join(self, separator: IntoExprColumn | RemoteSeries, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Join all string items in a sub-array and place a separator between them."""
    def last(self) -> RemoteSeries:
        """Get the last value of the sub-arrays."""
    def len(self) -> RemoteSeries:
        """Return the number of elements in each array."""
    def max(self) -> RemoteSeries:
        """Compute the max values of the sub-arrays."""
    def mean(self) -> RemoteSeries:
        """Compute the mean of the values of the sub-arrays."""
    def median(self) -> RemoteSeries:
        """Compute the median of the values of the sub-arrays."""
    def min(self) -> RemoteSeries:
        """Compute the min values of the sub-arrays."""
    def n_unique(self) -> RemoteSeries:
        """Count the number of unique values in every sub-arrays."""
    def reverse(self) -> RemoteSeries:
        """Reverse the arrays in this column."""
    def shift(self, n: int | IntoExprColumn | RemoteSeries = 1) -> RemoteSeries:
        """Shift array values by the given number of indices."""
    def slice(
        self, offset: int | pl.Expr, length: int | pl.Expr | None = None, *, as_array: bool = False
    ) -> RemoteSeries:
        """Slice the sub-arrays."""
    def sort(
        self, *, descending: bool = False, nulls_last: bool = False, multithreaded: bool = True
    ) -> RemoteSeries:
        """Sort the arrays in this column."""
    def std(self, ddof: int = 1) -> RemoteSeries:
        """Compute the std of the values of the sub-arrays."""
    def sum(self) -> RemoteSeries:
        """Compute the sum values of the sub-arrays."""
    def tail(self, n: int | pl.Expr = 5, *, as_array: bool = False) -> RemoteSeries:
        """Slice the last `n` values of every sublist."""
    def to_list(self) -> RemoteSeries:
        """Convert an Array column into a List column with the same inner data type."""
    def to_struct(self, fields: Sequence[str] | None = None) -> RemoteSeries:
        """Convert the series of type `Array` to a series of type `Struct`."""
    def unique(self, *, maintain_order: bool = False) -> RemoteSeries:
        """Get the unique/distinct values in the array."""
    def var(self, ddof: int = 1) -> RemoteSeries:
        """Compute the var of the values of the sub-arrays."""

class RemoteBinNamespace:
    """`polars.Series.bin`, from afar."""

    def contains(self, literal: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Check if binaries in Series contain a binary substring."""
    def decode(self, encoding: TransferEncoding, *, strict: bool = True) -> RemoteSeries:
        """Decode values using the provided encoding."""
    def encode(self, encoding: TransferEncoding) -> RemoteSeries:
        """Encode values using the provided encoding."""
    def ends_with(self, suffix: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Check if string values end with a binary substring."""
    def get(self, index: int | IntoExpr | RemoteSeries, *, null_on_oob: bool = False) -> RemoteSeries:
        """Get the byte value at the given index."""
    def head(self, n: int = 5) -> RemoteSeries:
        """Take the first `n` bytes of the binary values."""
    def reinterpret(self, *, dtype: PolarsDataType, endianness: Endianness = "little") -> RemoteSeries:
        """Interpret bytes as another type."""
    def size(self, unit: SizeUnit = "b") -> RemoteSeries:
        """Get the size of the binary values in a Series in the given unit."""
    def slice(self, offset: int, length: int | None = None) -> RemoteSeries:
        """Slice the binary values."""
    def starts_with(self, prefix: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Check if values start with a binary substring."""
    def tail(self, n: int = 5) -> RemoteSeries:
        """Take the last `n` bytes of the binary values."""

class RemoteCatNamespace:
    """`polars.Series.cat`, from afar."""

    def ends_with(self, suffix: str) -> RemoteSeries:
        """Check if string representations of values end with a substring."""
    def len_bytes(self) -> RemoteSeries:
        """Return the byte-length of the string representation of each value."""
    def len_chars(self) -> RemoteSeries:
        """Return the number of characters of the string representation of each value."""
    def physical(self) -> RemoteSeries:
        """Get the physical values of a Series with a categorical or enum data type."""
    def slice(self, offset: int, length: int | None = None) -> RemoteSeries:
        """Extract a substring from the string representation of each string value."""
    def starts_with(self, prefix: str) -> RemoteSeries:
        """Check if string representations of values start with a substring."""
    def to(self, dtype: PolarsDataType, *, strict: bool = True) -> RemoteSeries:
        """Create a Series with a categorical or enum `dtype`."""

class RemoteDtNamespace:
    """`polars.Series.dt`, from afar."""

    def add_business_days(
        self,
        n: int | IntoExpr | RemoteSeries,
        *,
        week_mask: Iterable[bool] = ...,
        holidays: Iterable[_datetime.date] | pl.Expr | pl.Series | RemoteSeries = ...,
        roll: Roll = "raise",
    ) -> RemoteSeries:
        """Offset by `n` business days."""
    def base_utc_offset(self) -> RemoteSeries:
        """Base offset from UTC."""
    def cast_time_unit(self, time_unit: TimeUnit) -> RemoteSeries:
        """Cast the underlying data to another time unit. This may lose precision."""
    def century(self) -> RemoteSeries:
        """Extract the century from underlying representation."""
    def combine(self, time: _datetime.time | pl.Series | RemoteSeries, time_unit: TimeUnit = "us") -> RemoteSeries:
        """Create a naive Datetime from an existing Date/Datetime expression and a Time."""
    def convert_time_zone(self, time_zone: str) -> RemoteSeries:
        """Convert to given time zone for a Series of type Datetime."""
    def date(self) -> RemoteSeries:
        """Extract (local) date."""
    def day(self) -> RemoteSeries:
        """Extract the day from the underlying date representation."""
    def days_in_month(self) -> RemoteSeries:
        """Extract the number of days in the month from the underlying date representation."""
    def dst_offset(self) -> RemoteSeries:
        """Additional offset currently in effect (typically due to daylight saving time)."""
    def epoch(self, time_unit: EpochTimeUnit = "us") -> RemoteSeries:
        """Get the time passed since the Unix EPOCH in the give time unit."""
    def hour(self) -> RemoteSeries:
        """Extract the hour from the underlying DateTime representation."""
    def is_business_day(
        self,
        *,
        week_mask: Iterable[bool] = ...,
        holidays: Iterable[_datetime.date] | pl.Expr | pl.Series | RemoteSeries = ...,
    ) -> RemoteSeries:
        """Determine whether each day lands on a business day."""
    def is_leap_year(self) -> RemoteSeries:
        """Determine whether the year of the underlying date representation is a leap year."""
    def iso_year(self) -> RemoteSeries:
        """Extract ISO year from underlying Date representation."""
    def max(self) -> Handle[_datetime.date | _datetime.datetime | _datetime.timedelta | None]:
        """Return maximum as Python datetime."""
    def microsecond(self) -> RemoteSeries:
        """Extract the microseconds from the underlying DateTime representation."""
    def millennium(self) -> RemoteSeries:
        """Extract the millennium from underlying representation."""
    def millisecond(self) -> RemoteSeries:
        """Extract the milliseconds from the underlying DateTime representation."""
    def min(self) -> Handle[_datetime.date | _datetime.datetime | _datetime.timedelta | None]:
        """Return minimum as Python datetime."""
    def minute(self) -> RemoteSeries:
        """Extract the minutes from the underlying DateTime representation."""
    def month(self) -> RemoteSeries:
        """Extract the month from the underlying date representation."""
    def month_end(self) -> RemoteSeries:
        """Roll forward to the last day of the month."""
    def month_start(self) -> RemoteSeries:
        """Roll backward to the first day of the month."""
    def nanosecond(self) -> RemoteSeries:
        """Extract the nanoseconds from the underlying DateTime representation."""
    def offset_by(self, by: str | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Offset this date by a relative time offset."""
    def ordinal_day(self) -> RemoteSeries:
        """Extract ordinal day from underlying date representation."""
    def quarter(self) -> RemoteSeries:
        """Extract quarter from underlying Date representation."""
    def replace(
        self,
        *,
        year: int | pl.Series | RemoteSeries | None = None,
        month: int | pl.Series | RemoteSeries | None = None,
        day: int | pl.Series | RemoteSeries | None = None,
        hour: int | pl.Series | RemoteSeries | None = None,
        minute: int | pl.Series | RemoteSeries | None = None,
        second: int | pl.Series | RemoteSeries | None = None,
        microsecond: int | pl.Series | RemoteSeries | None = None,
        ambiguous: Ambiguous | pl.Series | RemoteSeries = "raise",
    ) -> RemoteSeries:
        """Replace time unit."""
    def replace_time_zone(
        self,
        time_zone: str | None,
        *,
        ambiguous: Ambiguous | pl.Series | RemoteSeries = "raise",
        non_existent: NonExistent = "raise",
    ) -> RemoteSeries:
        """Replace time zone for a Series of type Datetime."""
    def round(self, every: str | _datetime.timedelta | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Divide the date/ datetime range into buckets."""
    def second(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract seconds from underlying DateTime representation."""
    def strftime(self, format: str) -> RemoteSeries:
        """Convert a Date/Time/Datetime column into a String column with the given format."""
    def time(self) -> RemoteSeries:
        """Extract (local) time."""
    def timestamp(self, time_unit: TimeUnit = "us") -> RemoteSeries:
        """Return a timestamp in the given time unit."""
    def to_string(self, format: str | None = None) -> RemoteSeries:
        """Convert a Date/Time/Datetime column into a String column with the given format."""
    def total_days(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total days from a Duration type."""
    def total_hours(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total hours from a Duration type."""
    def total_microseconds(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total microseconds from a Duration type."""
    def total_milliseconds(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total milliseconds from a Duration type."""
    def total_minutes(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total minutes from a Duration type."""
    def total_nanoseconds(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total nanoseconds from a Duration type."""
    def total_seconds(self, *, fractional: bool = False) -> RemoteSeries:
        """Extract the total seconds from a Duration type."""
    def truncate(self, every: str | _datetime.timedelta | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Divide the date/ datetime range into buckets."""
    def week(self) -> RemoteSeries:
        """Extract the week from the underlying date representation."""
    def weekday(self) -> RemoteSeries:
        """Extract the week day from the underlying date representation."""
    def year(self) -> RemoteSeries:
        """Extract the year from the underlying date representation."""
    def __getitem__(self, item: int) -> Handle[_datetime.date | _datetime.datetime | _datetime.timedelta]: ...

class RemoteExtNamespace:
    """`polars.Series.ext`, from afar."""

    def storage(self) -> RemoteSeries:
        """Get the storage values of a Series with an extension data type."""
    def to(self, dtype: PolarsDataType) -> RemoteSeries:
        """Create a Series with an extension `dtype`."""

class RemoteListNamespace:
    """`polars.Series.list`, from afar."""

    def agg(self, expr: pl.Expr) -> RemoteSeries:
        """Run any polars aggregation expression against the list' elements."""
    def all(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Evaluate whether all boolean values in a list are true."""
    def any(self, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Evaluate whether any boolean value in a list is true."""
    def arg_max(self) -> RemoteSeries:
        """Retrieve an index of a maximum value in every sublist."""
    def arg_min(self) -> RemoteSeries:
        """Retrieve an index of a minimal value in every sublist."""
    def concat(
        self, other: Sequence[pl.Series | RemoteSeries] | pl.Series | RemoteSeries | list[Any]
    ) -> RemoteSeries:
        """Concat the arrays in a Series dtype List in linear time."""
    def contains(self, item: IntoExpr | RemoteSeries, *, nulls_equal: bool = True) -> RemoteSeries:
        """Check if sublists contain the given item."""
    def count_matches(self, element: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Count how often the value produced by `element` occurs."""
    def diff(self, n: int = 1, null_behavior: NullBehavior = "ignore") -> RemoteSeries:
        """Calculate the first discrete difference between shifted items of every sublist."""
    def drop_nulls(self) -> RemoteSeries:
        """Drop all null values in the list."""
    def eval(self, expr: pl.Expr, *, parallel: bool = False) -> RemoteSeries:
        """Run any polars expression against the lists' elements."""
    def explode(self, *, empty_as_null: bool | None = None, keep_nulls: bool = True) -> RemoteSeries:
        """Returns a column with a separate row for every list element."""
    def filter(self, predicate: pl.Expr) -> RemoteSeries:
        """Filter elements in each list by a boolean expression, returning a new Series of lists."""
    def first(self) -> RemoteSeries:
        """Get the first value of the sublists."""
    def gather(
        self, indices: pl.Series | RemoteSeries | list[int] | list[list[int]], *, null_on_oob: bool = False
    ) -> RemoteSeries:
        """Take sublists by multiple indices."""
    def gather_every(
        self, n: int | IntoExprColumn | RemoteSeries, offset: int | IntoExprColumn | RemoteSeries = 0
    ) -> RemoteSeries:
        """Take every n-th value start from offset in sublists."""
    def get(self, index: int | pl.Series | RemoteSeries | list[int], *, null_on_oob: bool = False) -> RemoteSeries:
        """Get the value by index in the sublists."""
    def head(self, n: int | pl.Expr = 5) -> RemoteSeries:
        """Slice the first `n` values of every sublist."""
    def item(self) -> RemoteSeries:
        """Get the single value of the sublists."""
    def join(self, separator: IntoExprColumn | RemoteSeries, *, ignore_nulls: bool = True) -> RemoteSeries:
        """Join all string items in a sublist and place a separator between them."""
    def last(self) -> RemoteSeries:
        """Get the last value of the sublists."""
    def len(self) -> RemoteSeries:
        """Return the number of elements in each list."""
    def max(self) -> RemoteSeries:
        """Compute the max value of the arrays in the list."""
    def mean(self) -> RemoteSeries:
        """Compute the mean value of the arrays in the list."""
    def median(self) -> RemoteSeries:
        """Compute the median value of the arrays in the list."""
    def min(self) -> RemoteSeries:
        """Compute the min value of the arrays in the list."""
    def n_unique(self) -> RemoteSeries:
        """Count the number of unique values in every sub-lists."""
    def reverse(self) -> RemoteSeries:
        """Reverse the arrays in the list."""
    def sample(
        self,
        n: int | IntoExprColumn | RemoteSeries | None = None,
        *,
        fraction: float | IntoExprColumn | RemoteSeries | None = None,
        with_replacement: bool = False,
        shuffle: bool | None = None,
        seed: int | None = None,
    ) -> RemoteSeries:
        """Sample from this list."""
    def set_difference(self, other: pl.Series | RemoteSeries | Collection[Any]) -> RemoteSeries:
        """Compute the SET DIFFERENCE between the elements in this list and the elements of `other`."""
    def set_intersection(self, other: pl.Series | RemoteSeries | Collection[Any]) -> RemoteSeries:
        """Compute the SET INTERSECTION between the elements in this list and the elements of `other`."""
    def set_symmetric_difference(self, other: pl.Series | RemoteSeries | Collection[Any]) -> RemoteSeries:
        """Compute the SET SYMMETRIC DIFFERENCE between the elements in this list and the elements of `other`."""
    def set_union(self, other: pl.Series | RemoteSeries | Collection[Any]) -> RemoteSeries:
        """Compute the SET UNION between the elements in this list and the elements of `other`."""
    def shift(self, n: int | IntoExprColumn | RemoteSeries = 1) -> RemoteSeries:
        """Shift list values by the given number of indices."""
    def slice(self, offset: int | pl.Expr, length: int | pl.Expr | None = None) -> RemoteSeries:
        """Slice every sublist."""
    def sort(
        self, *, descending: bool = False, nulls_last: bool = False, multithreaded: bool = True
    ) -> RemoteSeries:
        """Sort the arrays in this column."""
    def std(self, ddof: int = 1) -> RemoteSeries:
        """Compute the std value of the arrays in the list."""
    def sum(self) -> RemoteSeries:
        """Sum all the arrays in the list."""
    def tail(self, n: int | pl.Expr = 5) -> RemoteSeries:
        """Slice the last `n` values of every sublist."""
    def to_array(self, width: int) -> RemoteSeries:
        """Convert a List column into an Array column with the same inner data type."""
    def to_map(self) -> RemoteSeries:
        """Convert the `List` of `Struct` entries to a `Map`."""
    def to_struct(self, fields: Sequence[str]) -> RemoteSeries:
        """Convert the series of type `List` to a series of type `Struct`."""
    def unique(self, *, maintain_order: bool = False) -> RemoteSeries:
        """Get the unique/distinct values in the list."""
    def var(self, ddof: int = 1) -> RemoteSeries:
        """Compute the var value of the arrays in the list."""
    def __getitem__(self, item: int) -> RemoteSeries: ...

class RemoteMapNamespace:
    """`polars.Series.map`, from afar."""

    def contains_key(self, key: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Check whether every map holds `key`."""
    def entries(self) -> RemoteSeries:
        """Convert the `Map` to a `List` of `Struct` entries."""
    def get(self, key: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Look up `key` in every map."""
    def keys(self) -> RemoteSeries:
        """Get the keys of every map as a `List`, in entry order."""
    def len(self) -> RemoteSeries:
        """Get the number of entries of every map."""
    def values(self) -> RemoteSeries:
        """Get the values of every map as a `List`, in entry order."""

class RemoteStrNamespace:
    """`polars.Series.str`, from afar."""

    def contains(self, pattern: str | pl.Expr, *, literal: bool = False, strict: bool = True) -> RemoteSeries:
        """Check if the string contains a substring that matches a pattern."""
    def contains_any(
        self, patterns: pl.Series | RemoteSeries | list[str], *, ascii_case_insensitive: bool = False
    ) -> RemoteSeries:
        """Use the Aho-Corasick algorithm to find matches."""
    def count_matches(self, pattern: str | pl.Series | RemoteSeries, *, literal: bool = False) -> RemoteSeries:
        """Count all successive non-overlapping regex matches."""
    def decode(self, encoding: TransferEncoding, *, strict: bool = True) -> RemoteSeries:
        """Decode values using the provided encoding."""
    def encode(self, encoding: TransferEncoding) -> RemoteSeries:
        """Encode a value using the provided encoding."""
    def ends_with(self, suffix: str | pl.Expr | None) -> RemoteSeries:
        """Check if string values end with a substring."""
    def escape_regex(self) -> RemoteSeries:
        """Returns string values with all regular expression meta characters escaped."""
    def extract(self, pattern: IntoExprColumn | RemoteSeries, group_index: int = 1) -> RemoteSeries:
        """Extract the target capture group from provided patterns."""
    def extract_all(self, pattern: str | pl.Series | RemoteSeries) -> RemoteSeries:
        """Extract all matches for the given regex pattern."""
    def extract_groups(self, pattern: str) -> RemoteSeries:
        """Extract all capture groups for the given regex pattern."""
    def extract_many(
        self,
        patterns: pl.Series | RemoteSeries | list[str],
        *,
        ascii_case_insensitive: bool = False,
        overlapping: bool = False,
        leftmost: bool = False,
    ) -> RemoteSeries:
        """Use the Aho-Corasick algorithm to extract many matches."""
    def find(self, pattern: str | pl.Expr, *, literal: bool = False, strict: bool = True) -> RemoteSeries:
        """Return the bytes offset of the first substring matching a pattern."""
    def find_many(
        self,
        patterns: IntoExpr | RemoteSeries,
        *,
        ascii_case_insensitive: bool = False,
        overlapping: bool = False,
        leftmost: bool = False,
    ) -> RemoteSeries:
        """Use the Aho-Corasick algorithm to find all matches."""
    def head(self, n: int | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Return the first n characters of each string in a String Series."""
    def join(self, delimiter: str = "", *, ignore_nulls: bool = True) -> RemoteSeries:
        """Vertically concatenate the string values in the column to a single string value."""
    def json_decode(
        self, dtype: PolarsDataType | None = None, *, infer_schema_length: int | None = ...
    ) -> RemoteSeries:
        """Parse string values as JSON."""
    def json_path_match(self, json_path: IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Extract the first match of JSON string with provided JSONPath expression."""
    def len_bytes(self) -> RemoteSeries:
        """Return the length of each string as the number of bytes."""
    def len_chars(self) -> RemoteSeries:
        """Return the length of each string as the number of characters."""
    def normalize(self, form: UnicodeForm = "NFC") -> RemoteSeries:
        """Returns the Unicode normal form of the string values."""
    def pad_end(self, length: int | IntoExprColumn | RemoteSeries, fill_char: str = " ") -> RemoteSeries:
        """Pad the end of the string until it reaches the given length."""
    def pad_start(self, length: int | IntoExprColumn | RemoteSeries, fill_char: str = " ") -> RemoteSeries:
        """Pad the start of the string until it reaches the given length."""
    def replace(self, pattern: str, value: str, *, literal: bool = False, n: int = 1) -> RemoteSeries:
        """Replace first matching regex/literal substring with a new string value."""
    def replace_all(self, pattern: str, value: str, *, literal: bool = False) -> RemoteSeries:
        """Replace all matching regex/literal substrings with a new string value."""
    def replace_many(
        self,
        patterns: pl.Series | RemoteSeries | list[str] | Mapping[str, str],
        replace_with: pl.Series | RemoteSeries | list[str] | str | NoDefault = ...,
        *,
        ascii_case_insensitive: bool = False,
        leftmost: bool = False,
    ) -> RemoteSeries:
        """Use the Aho-Corasick algorithm to replace many matches."""
    def reverse(self) -> RemoteSeries:
        """Returns string values in reversed order."""
    def slice(
        self, offset: int | IntoExprColumn | RemoteSeries, length: int | IntoExprColumn | RemoteSeries | None = None
    ) -> RemoteSeries:
        """Extract a substring from each string value."""
    def split(self, by: IntoExpr | RemoteSeries, *, inclusive: bool = False) -> RemoteSeries:
        """Split the string by a substring."""
    def split_exact(self, by: IntoExpr | RemoteSeries, n: int, *, inclusive: bool = False) -> RemoteSeries:
        """Split the string by a substring using `n` splits."""
    def splitn(self, by: IntoExpr | RemoteSeries, n: int) -> RemoteSeries:
        """Split the string by a substring, restricted to returning at most `n` items."""
    def starts_with(self, prefix: str | pl.Expr) -> RemoteSeries:
        """Check if string values start with a substring."""
    def strip_chars(self, characters: IntoExpr | RemoteSeries = None) -> RemoteSeries:
        """Remove leading and trailing characters."""
    def strip_chars_end(self, characters: IntoExpr | RemoteSeries = None) -> RemoteSeries:
        """Remove trailing characters."""
    def strip_chars_start(self, characters: IntoExpr | RemoteSeries = None) -> RemoteSeries:
        """Remove leading characters."""
    def strip_prefix(self, prefix: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Remove prefix."""
    def strip_suffix(self, suffix: IntoExpr | RemoteSeries) -> RemoteSeries:
        """Remove suffix."""
    def strptime(
        self,
        dtype: PolarsTemporalType,
        format: str | None = None,
        *,
        strict: bool = True,
        exact: bool = True,
        cache: bool = True,
        ambiguous: Ambiguous | pl.Series | RemoteSeries = "raise",
    ) -> RemoteSeries:
        """Convert a String column into a Date/Datetime/Time column."""
    def tail(self, n: int | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Return the last n characters of each string in a String Series."""
    def to_date(
        self, format: str | None = None, *, strict: bool = True, exact: bool = True, cache: bool = True
    ) -> RemoteSeries:
        """Convert a String column into a Date column."""
    def to_datetime(
        self,
        format: str | None = None,
        *,
        time_unit: TimeUnit | None = None,
        time_zone: str | None = None,
        strict: bool = True,
        exact: bool = True,
        cache: bool = True,
        ambiguous: Ambiguous | pl.Series | RemoteSeries = "raise",
    ) -> RemoteSeries:
        """Convert a String column into a Datetime column."""
    def to_decimal(self, *, inference_length: int = 100, scale: int | None = None) -> RemoteSeries:
        """Convert a String column into a Decimal column."""
    def to_integer(
        self, *, base: int | IntoExprColumn | RemoteSeries = 10, dtype: PolarsIntegerType = ..., strict: bool = True
    ) -> RemoteSeries:
        """Convert an String column into a column of dtype with base radix."""
    def to_lowercase(self) -> RemoteSeries:
        """Modify strings to their lowercase equivalent."""
    def to_time(self, format: str | None = None, *, strict: bool = True, cache: bool = True) -> RemoteSeries:
        """Convert a String column into a Time column."""
    def to_titlecase(self) -> RemoteSeries:
        """Modify strings to their titlecase equivalent."""
    def to_uppercase(self) -> RemoteSeries:
        """Modify strings to their uppercase equivalent."""
    def zfill(self, length: int | IntoExprColumn | RemoteSeries) -> RemoteSeries:
        """Pad the start of the string with zeros until it reaches the given length."""

class RemoteStructNamespace:
    """`polars.Series.struct`, from afar."""

    def drop(self, names: Sequence[str], *, strict: bool = True) -> RemoteSeries:
        """Drop one or more fields from the struct."""
    def eval(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteSeries:
        """Select fields of this struct, dropping the fields that are not selected."""
    def field(self, name: str) -> RemoteSeries:
        """Retrieve one of the fields of this `Struct` as a new Series."""
    @property
    def fields(self) -> Handle[list[str]]:
        """Get the names of the fields."""
    def json_encode(self) -> RemoteSeries:
        """Convert this struct to a string column with json values."""
    def rename_fields(self, names: Sequence[str]) -> RemoteSeries:
        """Rename the fields of the struct."""
    @property
    def schema(self) -> Handle[pl.Schema]:
        """Get the struct definition as a name/dtype schema dict."""
    def unnest(self) -> RemoteDataFrame:
        """Convert this struct Series to a DataFrame with a separate column for each field."""
    def __getitem__(self, item: int | str) -> RemoteSeries: ...

class PlaceFunctions:
    """Polars' functions that make frames, of `bp.frames.on(node)`."""

    def DataFrame(
        self,
        data: FrameInitTypes | RemoteDataFrame | RemoteSeries | None = None,
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        strict: bool = True,
        orient: Orientation | None = None,
        infer_schema_length: int | None = ...,
        nan_to_null: bool = False,
        height: int | None = None,
    ) -> RemoteDataFrame:
        """Two-dimensional data structure representing data as a table with rows and columns."""
    def LazyFrame(
        self,
        data: FrameInitTypes | RemoteDataFrame | RemoteSeries | None = None,
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        strict: bool = True,
        orient: Orientation | None = None,
        infer_schema_length: int | None = ...,
        nan_to_null: bool = False,
        height: int | None = None,
    ) -> RemoteLazyFrame:
        """Representation of a Lazy computation graph/query against a DataFrame."""
    def Series(
        self,
        name: str | ArrayLike | RemoteSeries | None = None,
        values: ArrayLike | RemoteSeries | None = None,
        dtype: PolarsDataType | None = None,
        *,
        strict: bool = True,
        nan_to_null: bool = False,
    ) -> RemoteSeries:
        """A Series represents a single column in a Polars DataFrame."""
    def align_frames(
        self,
        *frames: pl.DataFrame | RemoteDataFrame | pl.LazyFrame | RemoteLazyFrame | Iterable[pl.DataFrame | RemoteDataFrame | pl.LazyFrame | RemoteLazyFrame],
        on: str | pl.Expr | Sequence[str] | Sequence[pl.Expr] | Sequence[str | pl.Expr],
        how: JoinStrategy = "full",
        select: str | pl.Expr | Sequence[str | pl.Expr] | None = None,
        descending: bool | Sequence[bool] = False,
    ) -> Handle[list[RemoteDataFrame | RemoteLazyFrame]]:
        """Align a sequence of frames using common values from one or more columns as a key."""
    def arange(
        self,
        start: int | IntoExprColumn | RemoteSeries = ...,
        end: int | IntoExprColumn | RemoteSeries | None = ...,
        step: int = ...,
        *,
        dtype: PolarsIntegerType | pl.DataTypeExpr = ...,
    ) -> RemoteSeries:
        """Generate a range of integers."""
    @overload
    def collect_all(
        self,
        lazy_frames: Iterable[pl.LazyFrame | RemoteLazyFrame],
        *,
        optimizations: pl.QueryOptFlags = ...,
        engine: EngineType = "auto",
        lazy: Literal[False] = False,
    ) -> Handle[list[RemoteDataFrame]]: ...
    @overload
    def collect_all(
        self,
        lazy_frames: Iterable[pl.LazyFrame | RemoteLazyFrame],
        *,
        optimizations: pl.QueryOptFlags = ...,
        engine: EngineType = "auto",
        lazy: Literal[True],
    ) -> Handle[RemoteLazyFrame]:
        """Collect multiple LazyFrames at the same time."""
    @overload
    def concat(
        self,
        items: Iterable[pl.DataFrame | RemoteDataFrame],
        *,
        how: ConcatMethod = "vertical",
        rechunk: bool = False,
        parallel: bool = True,
        strict: bool | None = None,
    ) -> RemoteDataFrame: ...
    @overload
    def concat(
        self,
        items: Iterable[pl.LazyFrame | RemoteLazyFrame],
        *,
        how: ConcatMethod = "vertical",
        rechunk: bool = False,
        parallel: bool = True,
        strict: bool | None = None,
    ) -> RemoteLazyFrame: ...
    @overload
    def concat(
        self,
        items: Iterable[pl.Series | RemoteSeries],
        *,
        how: ConcatMethod = "vertical",
        rechunk: bool = False,
        parallel: bool = True,
        strict: bool | None = None,
    ) -> RemoteSeries:
        """Combine multiple DataFrames, LazyFrames, or Series into a single object."""
    def date_range(
        self,
        start: date | datetime | IntoExprColumn | RemoteSeries,
        end: date | datetime | IntoExprColumn | RemoteSeries,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
    ) -> RemoteSeries:
        """Generate a date range."""
    def date_ranges(
        self,
        start: date | datetime | IntoExprColumn | RemoteSeries,
        end: date | datetime | IntoExprColumn | RemoteSeries,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
    ) -> RemoteSeries:
        """Create a column of date ranges."""
    def datetime_range(
        self,
        start: datetime | date | IntoExprColumn | RemoteSeries,
        end: datetime | date | IntoExprColumn | RemoteSeries,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
        time_unit: TimeUnit | None = ...,
        time_zone: str | None = ...,
    ) -> RemoteSeries:
        """Generate a datetime range."""
    def datetime_ranges(
        self,
        start: datetime | date | IntoExprColumn | RemoteSeries,
        end: datetime | date | IntoExprColumn | RemoteSeries,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
        time_unit: TimeUnit | None = ...,
        time_zone: str | None = ...,
    ) -> RemoteSeries:
        """Create a column of datetime ranges."""
    def explain_all(
        self, lazy_frames: Iterable[pl.LazyFrame | RemoteLazyFrame], *, optimizations: pl.QueryOptFlags = ...
    ) -> Handle[str]:
        """Explain multiple LazyFrames as if passed to `collect_all`."""
    def from_arrow(
        self,
        data: pa.Table | pa.Array | pa.ChunkedArray | pa.RecordBatch | Iterable[pa.RecordBatch | pa.Table] | ArrowArrayExportable | ArrowStreamExportable,
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        rechunk: bool = False,
    ) -> RemoteDataFrame | RemoteSeries:
        """Create a DataFrame or Series from an Arrow Table or Array."""
    def from_dataframe(
        self, df: ArrowArrayExportable | ArrowStreamExportable, *, rechunk: bool = True
    ) -> RemoteDataFrame:
        """Build a Polars DataFrame from any dataframe supporting the PyCapsule Interface."""
    def from_dict(
        self,
        data: Mapping[str, Sequence[object] | Mapping[str, Sequence[object]] | pl.Series | RemoteSeries],
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        strict: bool = True,
    ) -> RemoteDataFrame:
        """Construct a DataFrame from a dictionary of sequences."""
    def from_dicts(
        self,
        data: Iterable[Mapping[str, Any]],
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        strict: bool = True,
        infer_schema_length: int | None = ...,
    ) -> RemoteDataFrame:
        """Construct a DataFrame from a sequence of dictionaries. This operation clones data."""
    def from_epoch(
        self, column: pl.Series | RemoteSeries | Sequence[int | float], time_unit: EpochTimeUnit = ...
    ) -> RemoteSeries:
        """Utility function that parses an epoch timestamp (or Unix time) to Polars Date(time)."""
    def from_numpy(
        self,
        data: np.ndarray[Any, Any],
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        orient: Orientation | None = None,
    ) -> RemoteDataFrame:
        """Construct a DataFrame from a NumPy ndarray. This operation clones data."""
    @overload
    def from_pandas(
        self,
        data: pd.DataFrame,
        *,
        schema_overrides: SchemaDict | None = ...,
        rechunk: bool = ...,
        nan_to_null: bool = ...,
        include_index: bool = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def from_pandas(
        self,
        data: pd.Series[Any] | pd.Index[Any] | pd.DatetimeIndex,
        *,
        schema_overrides: SchemaDict | None = ...,
        rechunk: bool = ...,
        nan_to_null: bool = ...,
        include_index: Literal[False] = ...,
    ) -> RemoteSeries: ...
    @overload
    def from_pandas(
        self,
        data: pd.Series[Any],
        *,
        schema_overrides: SchemaDict | None = ...,
        rechunk: bool = ...,
        nan_to_null: bool = ...,
        include_index: Literal[True],
    ) -> RemoteDataFrame:
        """Construct a Polars DataFrame or Series from a pandas DataFrame, Series, or Index."""
    def from_records(
        self,
        data: Sequence[Any],
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        strict: bool = True,
        orient: Orientation | None = None,
        infer_schema_length: int | None = ...,
    ) -> RemoteDataFrame:
        """Construct a DataFrame from a sequence of sequences. This operation clones data."""
    def from_repr(self, data: str) -> RemoteDataFrame | RemoteSeries:
        """Construct a Polars DataFrame or Series from its string representation."""
    def from_torch(
        self,
        tensor: Any,
        schema: SchemaDefinition | None = None,
        *,
        schema_overrides: SchemaDict | None = None,
        orient: Orientation | None = None,
        force: bool = False,
    ) -> RemoteDataFrame:
        """Construct a DataFrame from a PyTorch Tensor."""
    def int_range(
        self,
        start: int | IntoExprColumn | RemoteSeries = ...,
        end: int | IntoExprColumn | RemoteSeries | None = ...,
        step: int = ...,
        *,
        dtype: PolarsIntegerType | pl.DataTypeExpr = ...,
    ) -> RemoteSeries:
        """Generate a range of integers."""
    def int_ranges(
        self,
        start: int | IntoExprColumn | RemoteSeries = ...,
        end: int | IntoExprColumn | RemoteSeries | None = ...,
        step: int | IntoExprColumn | RemoteSeries = ...,
        *,
        dtype: PolarsIntegerType | pl.DataTypeExpr = ...,
    ) -> RemoteSeries:
        """Generate a range of integers for each row of the input columns."""
    def json_normalize(
        self,
        data: dict[Any, Any] | Sequence[dict[Any, Any] | Any],
        *,
        separator: str = ".",
        max_level: int | None = None,
        schema: pl.Schema | None = None,
        strict: bool = True,
        infer_schema_length: int | None = ...,
        encoder: JSONEncoder | None = None,
    ) -> RemoteDataFrame:
        """Normalize semi-structured deserialized JSON data into a flat table."""
    def linear_space(
        self,
        start: NumericLiteral | TemporalLiteral | IntoExpr | RemoteSeries,
        end: NumericLiteral | TemporalLiteral | IntoExpr | RemoteSeries,
        num_samples: int | IntoExpr | RemoteSeries,
        *,
        closed: ClosedInterval = ...,
    ) -> RemoteSeries:
        """Create sequence of evenly-spaced points."""
    def linear_spaces(
        self,
        start: NumericLiteral | TemporalLiteral | IntoExprColumn | RemoteSeries,
        end: NumericLiteral | TemporalLiteral | IntoExprColumn | RemoteSeries,
        num_samples: int | IntoExprColumn | RemoteSeries,
        *,
        closed: ClosedInterval = ...,
        as_array: bool = ...,
    ) -> RemoteSeries:
        """Generate a sequence of evenly-spaced values for each row between `start` and `end`."""
    @overload
    def merge_sorted(
        self, items: Iterable[pl.DataFrame | RemoteDataFrame], key: str | Sequence[str], *, maintain_order: bool = False
    ) -> RemoteDataFrame: ...
    @overload
    def merge_sorted(
        self, items: Iterable[pl.LazyFrame | RemoteLazyFrame], key: str | Sequence[str], *, maintain_order: bool = False
    ) -> RemoteLazyFrame: ...
    @overload
    def merge_sorted(
        self, items: Iterable[pl.Series | RemoteSeries], key: str | Sequence[str], *, maintain_order: bool = False
    ) -> RemoteSeries:
        """Merge multiple sorted DataFrames or LazyFrames by the sorted key."""
    def ones(self, n: int | pl.Expr, dtype: PolarsDataType = ...) -> RemoteSeries:
        """Construct a column of length `n` filled with ones."""
    def read_avro(
        self,
        source: str | Path | IO[bytes] | bytes,
        *,
        columns: list[int] | list[str] | None = None,
        n_rows: int | None = None,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from Apache Avro format."""
    def read_csv(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]] | list[bytes],
        *,
        columns: Sequence[int] | Sequence[str] | None = None,
        has_header: bool = True,
        separator: str = ",",
        comment_prefix: str | None = None,
        quote_char: str | None = '"',
        skip_rows: int = 0,
        skip_lines: int = 0,
        schema: SchemaDict | None = None,
        schema_overrides: SchemaDict | Sequence[PolarsDataType] | None = None,
        null_values: str | Sequence[str] | dict[str, str] | None = None,
        empty_string_is_null: bool = True,
        ignore_errors: bool = False,
        with_column_names: Callable[[list[str]], list[str]] | None = None,
        infer_schema: bool = True,
        infer_schema_length: int | None = ...,
        infer_schema_files: int = ...,
        n_rows: int | None = None,
        encoding: CsvEncoding | str = "utf8",
        low_memory: bool = False,
        skip_rows_after_header: int = 0,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        try_parse_dates: bool = False,
        eol_char: str = '\n',
        new_columns: Sequence[str] | None = None,
        truncate_ragged_lines: bool | None = None,
        raise_if_empty: bool | None = None,
        decimal_comma: bool = False,
        glob: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
        extra_columns: Literal["ignore", "raise"] | None = None,
        missing_columns: Literal["insert", "raise"] | None = None,
        use_pyarrow: bool = False,
    ) -> RemoteDataFrame:
        """Read a CSV file into a DataFrame."""
    @overload
    def read_database(
        self,
        query: str | Any,
        connection: ConnectionOrCursor | str,
        *,
        iter_batches: Literal[False] = ...,
        batch_size: int | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        execute_options: dict[str, Any] | None = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def read_database(
        self,
        query: str | Any,
        connection: ConnectionOrCursor | str,
        *,
        iter_batches: bool,
        batch_size: int | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        execute_options: dict[str, Any] | None = ...,
    ) -> RemoteDataFrame:
        """Read the results of a SQL query into a DataFrame, given a connection object."""
    @overload
    def read_database_uri(
        self,
        query: str,
        uri: str,
        *,
        partition_on: str | None = None,
        partition_range: tuple[int, int] | None = None,
        partition_num: int | None = None,
        protocol: str | None = None,
        engine: Literal["adbc"],
        schema_overrides: SchemaDict | None = None,
        execute_options: dict[str, Any] | None = None,
        pre_execution_query: str | list[str] | None = None,
    ) -> RemoteDataFrame: ...
    @overload
    def read_database_uri(
        self,
        query: list[str] | str,
        uri: str,
        *,
        partition_on: str | None = None,
        partition_range: tuple[int, int] | None = None,
        partition_num: int | None = None,
        protocol: str | None = None,
        engine: Literal["connectorx"] | None = None,
        schema_overrides: SchemaDict | None = None,
        execute_options: None = None,
        pre_execution_query: str | list[str] | None = None,
    ) -> RemoteDataFrame: ...
    @overload
    def read_database_uri(
        self,
        query: str,
        uri: str,
        *,
        partition_on: str | None = None,
        partition_range: tuple[int, int] | None = None,
        partition_num: int | None = None,
        protocol: str | None = None,
        engine: DbReadEngine | None = None,
        schema_overrides: None = None,
        execute_options: dict[str, Any] | None = None,
        pre_execution_query: str | list[str] | None = None,
    ) -> RemoteDataFrame:
        """Read the results of a SQL query into a DataFrame, given a URI."""
    def read_delta(
        self,
        source: str | Path | Any,
        *,
        version: int | str | datetime | None = None,
        columns: list[str] | None = None,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        delta_table_options: dict[str, Any] | None = None,
        use_pyarrow: bool = False,
        pyarrow_options: dict[str, Any] | None = None,
    ) -> RemoteDataFrame:
        """Reads into a DataFrame from a Delta lake table."""
    @overload
    def read_excel(
        self,
        source: FileSource | memoryview[int],
        *,
        sheet_id: None = ...,
        sheet_name: str,
        table_name: str | None = ...,
        engine: ExcelSpreadsheetEngine = ...,
        engine_options: dict[str, Any] | None = ...,
        read_options: dict[str, Any] | None = ...,
        has_header: bool = ...,
        columns: Sequence[int] | Sequence[str] | str | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def read_excel(
        self,
        source: FileSource | memoryview[int],
        *,
        sheet_id: None = ...,
        sheet_name: None = ...,
        table_name: str | None = ...,
        engine: ExcelSpreadsheetEngine = ...,
        engine_options: dict[str, Any] | None = ...,
        has_header: bool = ...,
        read_options: dict[str, Any] | None = ...,
        columns: Sequence[int] | Sequence[str] | str | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def read_excel(
        self,
        source: FileSource | memoryview[int],
        *,
        sheet_id: int,
        sheet_name: None = ...,
        table_name: str | None = ...,
        engine: ExcelSpreadsheetEngine = ...,
        engine_options: dict[str, Any] | None = ...,
        read_options: dict[str, Any] | None = ...,
        has_header: bool = ...,
        columns: Sequence[int] | Sequence[str] | str | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame:
        """Read Excel spreadsheet data into a DataFrame."""
    def read_ipc(
        self,
        source: str | Path | IO[bytes] | bytes,
        *,
        columns: list[int] | list[str] | None = None,
        n_rows: int | None = None,
        use_pyarrow: bool = False,
        storage_options: StorageOptionsDict | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from Arrow IPC (Feather v2) file."""
    def read_ipc_schema(self, source: str | Path | IO[bytes] | bytes) -> Handle[dict[str, pl.DataType]]:
        """Get the schema of an IPC file without reading data."""
    def read_ipc_stream(
        self,
        source: str | Path | IO[bytes] | bytes,
        *,
        columns: list[int] | list[str] | None = None,
        n_rows: int | None = None,
        use_pyarrow: bool = False,
        storage_options: StorageOptionsDict | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from Arrow IPC record batch stream."""
    def read_json(
        self,
        source: str | Path | IOBase | bytes,
        *,
        schema: SchemaDefinition | None = None,
        schema_overrides: SchemaDefinition | None = None,
        infer_schema_length: int | None = ...,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from a JSON file."""
    def read_lines(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]],
        *,
        name: str = "line",
        n_rows: int | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        glob: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
    ) -> RemoteDataFrame:
        """Read lines into a string column from a file."""
    def read_ndjson(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]],
        *,
        schema: SchemaDefinition | None = None,
        schema_overrides: SchemaDefinition | None = None,
        infer_schema_length: int | None = ...,
        batch_size: int | None = 1024,
        n_rows: int | None = None,
        low_memory: bool = False,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        ignore_errors: bool = False,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from a newline delimited JSON file."""
    @overload
    def read_ods(
        self,
        source: FileSource,
        *,
        sheet_id: None = ...,
        sheet_name: str,
        has_header: bool = ...,
        columns: Sequence[int] | Sequence[str] | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def read_ods(
        self,
        source: FileSource,
        *,
        sheet_id: None = ...,
        sheet_name: None = ...,
        has_header: bool = ...,
        columns: Sequence[int] | Sequence[str] | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame: ...
    @overload
    def read_ods(
        self,
        source: FileSource,
        *,
        sheet_id: int,
        sheet_name: None = ...,
        has_header: bool = ...,
        columns: Sequence[int] | Sequence[str] | None = ...,
        schema_overrides: SchemaDict | None = ...,
        infer_schema_length: int | None = ...,
        include_file_paths: str | None = ...,
        drop_empty_rows: bool = ...,
        drop_empty_cols: bool = ...,
        raise_if_empty: bool = ...,
    ) -> RemoteDataFrame:
        """Read OpenOffice (ODS) spreadsheet data into a DataFrame."""
    def read_parquet(
        self,
        source: FileSource,
        *,
        columns: list[int] | list[str] | None = None,
        n_rows: int | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        parallel: ParallelStrategy = "auto",
        use_statistics: bool = True,
        hive_partitioning: bool | None = None,
        glob: bool = True,
        schema: SchemaDict | None = None,
        hive_schema: SchemaDict | None = None,
        try_parse_hive_dates: bool = True,
        low_memory: bool = False,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        use_pyarrow: bool = False,
        pyarrow_options: dict[str, Any] | None = None,
        memory_map: bool = True,
        include_file_paths: str | None = None,
        missing_columns: Literal["insert", "raise"] = "raise",
        decryption: pl.ParquetDecryptionProperties | None = None,
        _expand_paths: bool = True,
    ) -> RemoteDataFrame:
        """Read into a DataFrame from a parquet file."""
    def read_parquet_metadata(
        self,
        source: str | Path | IO[bytes] | bytes,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
    ) -> Handle[dict[str, str]]:
        """Get file-level custom metadata of a Parquet file without reading data."""
    def read_parquet_schema(self, source: str | Path | IO[bytes] | bytes) -> Handle[dict[str, pl.DataType]]:
        """Get the schema of a Parquet file without reading data."""
    def repeat(
        self, value: IntoExpr | RemoteSeries | None, n: int | pl.Expr, *, dtype: PolarsDataType | None = ...
    ) -> RemoteSeries:
        """Construct a column of length `n` filled with the given value."""
    def scan_arrow_c_stream(self, source: Any) -> RemoteLazyFrame:
        """Scan a source that implements the Arrow PyCapsule Interface."""
    def scan_csv(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]] | list[bytes],
        *,
        has_header: bool = True,
        separator: str = ",",
        comment_prefix: str | None = None,
        quote_char: str | None = '"',
        skip_rows: int = 0,
        skip_lines: int = 0,
        schema: SchemaDict | None = None,
        schema_overrides: SchemaDict | Sequence[PolarsDataType] | None = None,
        null_values: str | Sequence[str] | dict[str, str] | None = None,
        empty_string_is_null: bool = True,
        ignore_errors: bool = False,
        with_column_names: Callable[[list[str]], list[str]] | None = None,
        infer_schema: bool = True,
        infer_schema_length: int | None = ...,
        infer_schema_files: int = ...,
        n_rows: int | None = None,
        encoding: CsvEncoding = "utf8",
        low_memory: bool = False,
        skip_rows_after_header: int = 0,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        try_parse_dates: bool = False,
        eol_char: str = '\n',
        new_columns: Sequence[str] | None = None,
        truncate_ragged_lines: bool | None = None,
        raise_if_empty: bool | None = None,
        decimal_comma: bool = False,
        glob: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
        extra_columns: Literal["ignore", "raise"] | None = None,
        missing_columns: Literal["insert", "raise"] | None = None,
    ) -> RemoteLazyFrame:
        """Lazily read from a CSV file or multiple files via glob patterns."""
    def scan_delta(
        self,
        source: str | Path | Any,
        *,
        version: int | str | datetime | None = None,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        delta_table_options: dict[str, Any] | None = None,
        use_pyarrow: bool = False,
        pyarrow_options: dict[str, Any] | None = None,
    ) -> RemoteLazyFrame:
        """Lazily read from a Delta lake table."""
    def scan_external_reader(
        self, reader_builder: FileReaderBuilder, *, sources: FileSource, schema: SchemaDict, expand_paths: bool = False
    ) -> RemoteLazyFrame:
        """Scan an external reader."""
    def scan_iceberg(
        self,
        source: str | Any,
        *,
        snapshot_id: int | None = None,
        from_snapshot_id_exclusive: int | None = None,
        to_snapshot_id_inclusive: int | None = None,
        storage_options: StorageOptionsDict | None = None,
        catalog: Any | IcebergCatalogConfig | None = None,
        reader_override: Literal["native", "pyiceberg"] | None = None,
        use_metadata_statistics: bool = True,
        fast_deletion_count: bool | None = None,
        use_pyiceberg_filter: bool = True,
    ) -> RemoteLazyFrame:
        """Lazily read from an Apache Iceberg table."""
    def scan_ipc(
        self,
        source: str | Path | IO[bytes] | bytes | list[str] | list[Path] | list[IO[bytes]] | list[bytes],
        *,
        n_rows: int | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        glob: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        hive_partitioning: bool | None = None,
        hive_schema: SchemaDict | None = None,
        try_parse_hive_dates: bool = True,
        include_file_paths: str | None = None,
        _record_batch_statistics: bool = False,
    ) -> RemoteLazyFrame:
        """Lazily read from an Arrow IPC (Feather v2) file or multiple files via glob patterns."""
    def scan_lance(
        self,
        source: str | Any,
        *,
        version: int | str | None = None,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
    ) -> RemoteLazyFrame:
        """Lazily read from a Lance dataset."""
    def scan_lines(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]],
        *,
        name: str = "line",
        n_rows: int | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        glob: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
    ) -> RemoteLazyFrame:
        """Construct a LazyFrame which scans lines into a string column from a file."""
    def scan_ndjson(
        self,
        source: str | Path | IO[str] | IO[bytes] | bytes | list[str] | list[Path] | list[IO[str]] | list[IO[bytes]],
        *,
        schema: SchemaDefinition | None = None,
        schema_overrides: SchemaDefinition | None = None,
        infer_schema_length: int | None = ...,
        batch_size: int | None = 1024,
        n_rows: int | None = None,
        low_memory: bool = False,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        ignore_errors: bool = False,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
    ) -> RemoteLazyFrame:
        """Lazily read from a newline delimited JSON file or multiple files via glob patterns."""
    def scan_parquet(
        self,
        source: FileSource,
        *,
        n_rows: int | None = None,
        row_index_name: str | None = None,
        row_index_offset: int = 0,
        parallel: ParallelStrategy = "auto",
        use_statistics: bool = True,
        hive_partitioning: bool | None = None,
        glob: bool = True,
        hidden_file_prefix: str | Sequence[str] | None = None,
        schema: SchemaDict | None = None,
        hive_schema: SchemaDict | None = None,
        try_parse_hive_dates: bool = True,
        low_memory: bool = False,
        cache: bool = True,
        storage_options: StorageOptionsDict | None = None,
        credential_provider: pl.CredentialProviderFunction | Literal["auto"] | None = "auto",
        include_file_paths: str | None = None,
        missing_columns: Literal["insert", "raise"] = "raise",
        extra_columns: Literal["ignore", "raise"] = "raise",
        cast_options: pl.ScanCastOptions | None = None,
        decryption: pl.ParquetDecryptionProperties | None = None,
        _expand_paths: bool = True,
        _column_mapping: ColumnMapping | None = None,
        _default_values: DefaultFieldValues | RemoteSeries | None = None,
        _deletion_files: DeletionFiles | None = None,
        _table_statistics: pl.DataFrame | RemoteDataFrame | None = None,
        _row_count: tuple[int, int] | None = None,
        _source_sizes: Sequence[int] | None = None,
        _resolve_heavy_sources: int | None = None,
    ) -> RemoteLazyFrame:
        """Lazily read from a local or cloud-hosted parquet file (or files)."""
    def scan_pyarrow_dataset(
        self, source: _pyarrow_dataset.Dataset, *, allow_pyarrow_filter: bool = True, batch_size: int | None = None
    ) -> RemoteLazyFrame:
        """Scan a pyarrow dataset."""
    def select(
        self,
        *exprs: IntoExpr | RemoteSeries | Iterable[IntoExpr | RemoteSeries],
        **named_exprs: IntoExpr | RemoteSeries,
    ) -> RemoteDataFrame:
        """Run polars expressions without a context."""
    def sql(self, query: str) -> RemoteDataFrame:
        """Execute a SQL query against frames in the global namespace."""
    def time_range(
        self,
        start: time | IntoExprColumn | RemoteSeries | None = ...,
        end: time | IntoExprColumn | RemoteSeries | None = ...,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
    ) -> RemoteSeries:
        """Generate a time range."""
    def time_ranges(
        self,
        start: time | IntoExprColumn | RemoteSeries | None = ...,
        end: time | IntoExprColumn | RemoteSeries | None = ...,
        interval: str | timedelta = ...,
        *,
        closed: ClosedInterval = ...,
    ) -> RemoteSeries:
        """Create a column of time ranges."""
    @overload
    def union(
        self,
        items: Iterable[pl.DataFrame | RemoteDataFrame],
        *,
        how: ConcatMethod = "vertical",
        strict: bool | None = None,
    ) -> RemoteDataFrame: ...
    @overload
    def union(
        self,
        items: Iterable[pl.LazyFrame | RemoteLazyFrame],
        *,
        how: ConcatMethod = "vertical",
        strict: bool | None = None,
    ) -> RemoteLazyFrame: ...
    @overload
    def union(
        self, items: Iterable[pl.Series | RemoteSeries], *, how: ConcatMethod = "vertical", strict: bool | None = None
    ) -> RemoteSeries:
        """Combine multiple DataFrames, LazyFrames, or Series into a single object."""
    def zeros(self, n: int | pl.Expr, dtype: PolarsDataType = ...) -> RemoteSeries:
        """Construct a column of length `n` filled with zeros."""
