/**
 * Typed API calls by method and path, generated from the OpenAPI description. A path is written as it is sent (`/conversations/${id}/members`) and
 * matched segment by segment. Query parameters written into the path (`/tasks/${id}?version=${version}`) are checked too.
 */
import type { Calls } from './generated/calls.gen.ts';

export type Method = keyof Calls;

/** Replaces each `{}` of a path by a string placeholder. */
type PathPattern<Path> = Path extends `${infer Before}{}${infer After}`
  ? `${Before}${string}${PathPattern<After>}`
  : Path;

/** Paths that accept the method, with or without query parameters in the path. */
export type PathOf<M extends Method> = PathPattern<keyof Calls[M]> | `${Extract<PathWithQuery<M>, string>}?${string}`;

/** Paths of the method that have query parameters. */
type PathWithQuery<M extends Method> = {
  [Path in keyof Calls[M]]: 'query' extends keyof Calls[M][Path] ? Path : never;
}[keyof Calls[M]];

type PartOf<Part extends string> = string extends Part ? '{}' : `${number}` extends Part ? '{}' : Part;

/** Path as the OpenAPI description writes it: with `{}` for each variable segment. */
type Described<Path extends string> = Path extends `${infer Part}/${infer Rest}`
  ? `${PartOf<Part>}/${Described<Rest>}`
  : PartOf<Path>;

type At<M extends Method, Path extends string> =
  Described<Path> extends infer Key extends keyof Calls[M] ? Calls[M][Key] : never;

/** Call with this method and path; `never` if the description has no such call. */
type Call<M extends Method, Path extends string> = Path extends `${infer Plain}?${infer Name}=${string}`
  ? Extract<At<M, Plain>, { query?: { [Key in Name]?: unknown } }>
  : At<M, Path>;

type Nothing = Record<string, never>;

type ArgumentOf<C, Field extends string> = [C] extends [never]
  ? [never]
  : [C] extends [Record<Field, infer Required>]
    ? [Unchanged<Required>]
    : C extends { [Key in Field]?: infer Optional }
      ? [(Field extends keyof C ? Unchanged<Optional> : Nothing)?]
      : [Nothing?];

/** Makes the request data readonly, including nested lists. */
type Unchanged<T> = { [Key in keyof T]: Listed<T[Key]> };
type Listed<T> = T extends (infer One)[] ? readonly One[] : T;

/** Query parameters of a call. */
export type QueryOf<M extends Method, Path extends string> = ArgumentOf<Call<M, Path>, 'query'>;

/** Query parameters that filter a list; excludes those that select a page. */
export type FilterOf<Path extends PathOf<'GET'>> =
  Call<'GET', Path> extends { query?: infer Query }
    ? Omit<NonNullable<Query>, 'page' | 'page_size' | 'before' | 'limit'>
    : never;

/** Request body of a call. */
export type BodyOf<M extends Method, Path extends string> = ArgumentOf<Call<M, Path>, 'body'>;

/** Data of the response to a call. */
export type AnswerOf<M extends Method, Path extends string> =
  Call<M, Path> extends { answer: infer Answer } ? Answer : never;
