/** Types of rows, inferred from the literal of a pipeline. */
import type { PipelineSpec } from "./pipeline.js";
import type { KeyField, KeyValue, Row } from "./types.js";

type Primitive = string | number | bigint | boolean | null | undefined;
type DeepReadonly<T> = unknown extends T ? T : T extends Primitive ? T : { readonly [K in keyof T]: DeepReadonly<T[K]> };

/**
 * A pipeline description: a literal, a variable of the type {@link PipelineSpec}, or a variable
 * whose type TypeScript has inferred, with `string` in place of the names of stages.
 */
export type PipelineInput = DeepReadonly<PipelineSpec> | Widened<DeepReadonly<PipelineSpec>>;

/** `T` with texts in place of names. The names stay proposals of editors. */
type Widened<T> = T extends string
  ? T | (string & {})
  : unknown extends T
    ? T
    : T extends Primitive
      ? T
      : T extends readonly (infer E)[]
        ? readonly Widened<E>[]
        : { readonly [K in keyof T]: Widened<T[K]> | (object extends Pick<T, K> ? undefined : never) };

/**
 * Rejects names and fields that a pipeline description does not have; for `P` alone, TypeScript
 * accepts them.
 */
export type CheckedPipeline<P> = PipelineSpec extends P ? P : Checked<P, DeepReadonly<PipelineSpec>>;

/** `T`, or what `T` should be in its place. */
type Checked<T, Shape> = string extends T
  ? T
  : unknown extends Shape
    ? T
    : T extends readonly unknown[]
      ? { readonly [I in keyof T]: Checked<T[I], ElementOf<Shape>> }
      : T extends object
        ? T extends Widened<Variant<T, Shape>>
          ? { readonly [K in keyof T]: K extends KeysOf<Variant<T, Shape>> ? Checked<T[K], FieldOf<Variant<T, Shape>, K>> : undefined }
          : Variant<T, Shape>
        : T extends Shape | undefined
          ? T
          : Shape;
type ElementOf<Shape> = Shape extends readonly (infer E)[] ? E : never;
type KeysOf<Shape> = Shape extends object ? keyof Shape : never;
type FieldOf<Shape, K> = Shape extends object ? (K extends keyof Shape ? Shape[K] : never) : never;
/** The variants of a union with the `type` of `T`, or the whole union. */
type Variant<T, Shape> = T extends { type: infer N } ? ([Extract<Shape, { type: N }>] extends [never] ? Shape : Extract<Shape, { type: N }>) : Shape;

/**
 * A row of the pipeline `P`. If its last stage is a window and `P` is the type of a literal, the row
 * has the key fields, the times of the window and the aggregations; otherwise it is a {@link Row}.
 */
export type RowOf<P> = P extends { readonly stages: readonly [...infer Before, infer Last] }
  ? Last extends { readonly type: "window"; readonly aggregations: readonly (infer A)[] }
    ? string extends NameOf<A, P, Last>
      ? Row
      : Flat<
          { [K in KeyOf<P, Before>]: KeyFieldOf<P> } & WindowTimes<Last> & { [N in NameOf<A, P, Last>]: N extends "count" ? number : number | null } & Revisions<Last>
        >
    : Row
  : Row;

type Flat<T> = { [K in keyof T]: T[K] };
type Names<T> = T extends string ? T : T extends readonly (infer E extends string)[] ? E : never;

/** The type of key fields: with `on_null_key = "keep"` they may be null. */
type KeyFieldOf<P> = P extends { readonly source: { readonly on_null_key: infer O } } ? (O extends "reject" | "drop" ? KeyValue : KeyField) : KeyValue;

/** The key fields: those of the last `key_by`, or of the source. */
type KeyOf<P, Before> = Before extends readonly [...infer Earlier, infer Last]
  ? Last extends { readonly type: "key_by"; readonly fields: infer F }
    ? Names<F>
    : KeyOf<P, Earlier>
  : P extends { readonly source: { readonly key: infer K } }
    ? Names<K>
    : never;

type WindowTimes<W> = W extends { readonly window: "global" }
  ? { window_start: number | null; window_end: number | null }
  : { window_start: number; window_end: number };

/** Columns of windows that emit several rows. */
type Revisions<W> = (W extends { readonly allowed_lateness: string } | { readonly early: string } ? { revision?: number } : unknown) &
  (W extends { readonly early: string } ? { early?: boolean } : unknown) &
  (W extends { readonly window: "session"; readonly allowed_lateness: string } ? { retracted?: boolean } : unknown);

/** The column of an aggregation: `avg` of the default field, `avg_bytes` of another, or its name. */
type NameOf<A, P, W> = A extends string
  ? A
  : A extends { readonly name: infer N extends string }
    ? N
    : A extends { readonly op: infer O extends string; readonly field: infer F extends string }
      ? F extends DefaultField<P, W>
        ? O
        : `${O}_${F}`
      : A extends { readonly op: infer O extends string }
        ? O
        : string;
type DefaultField<P, W> =
  | (W extends { readonly field: infer F extends string } ? F : never)
  | (P extends { readonly source: { readonly value: infer V } } ? (V extends readonly [infer First, ...unknown[]] ? First : V) : never);
