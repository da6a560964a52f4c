import type { CombinedError } from '@urql/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { pipe, type Source, subscribe } from 'wonka';

/** One page of a list, as connections answer it. */
export interface ListPage<T> {
  readonly totalCount?: number | null;
  readonly nodes: readonly T[];
  readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor?: string | null };
}

export interface Answer<T> {
  readonly page: ListPage<T> | null | undefined;
  readonly error: CombinedError | undefined;
}

/** Asks for the page behind a cursor, and tells each change of it; `afresh`: the server is to be asked, whatever is known. */
export type Ask<T> = (after: string | null, afresh: boolean) => Source<Answer<T>>;

/**
 * A list in pages, of which every loaded one is watched. The first comes with the page where `first` is given; `ask` has to be the same
 * function for the same list. Loaded pages are asked for again when `version` changes.
 */
export function usePages<T>(ask: Ask<T>, first: ListPage<T> | null | undefined, keyOf: (element: T) => string, version: unknown = 0) {
  const [pages, setPages] = useState<readonly ListPage<T>[]>([]);
  const [failed, setFailed] = useState(false);
  const watched = useRef(new Map<number, { after: string | null; leave: () => void }>());
  const hasFirst = first !== undefined;

  const load = useCallback((at: number, after: string | null, afresh = false) => {
    const before = watched.current.get(at);
    if (before !== undefined && !afresh) return;
    before?.leave();
    setFailed(false);
    const entry = { after, leave: () => undefined as void };
    watched.current.set(at, entry);
    const { unsubscribe } = pipe(ask(after, afresh), subscribe(({ page, error }) => {
      if (page != null) setPages((known) => Object.assign([...known], { [at]: page }));
      else if (error !== undefined) {
        watched.current.delete(at);
        setFailed(true);
      }
    }));
    entry.leave = unsubscribe;
  }, [ask]);

  useEffect(() => {
    const all = watched.current;
    setPages([]);
    if (!hasFirst) load(0, null);
    return () => {
      all.forEach(({ leave }) => leave());
      all.clear();
    };
  }, [load, hasFirst]);

  const known = useRef(version);
  useEffect(() => {
    if (known.current === version) return;
    known.current = version;
    [...watched.current].forEach(([at, { after }]) => load(at, after, true));
  }, [load, version]);

  // A page goes on where the one before it ends, wherever that is by now.
  useEffect(() => {
    pages.forEach((_, at) => {
      const before = at > 0 ? pages[at - 1] : first;
      if (before == null) return;
      const { hasNextPage, endCursor } = before.pageInfo;
      if (hasNextPage && endCursor != null) {
        if (watched.current.get(at)?.after !== endCursor) load(at, endCursor, true);
        return;
      }
      [...watched.current].filter(([other]) => other >= at).forEach(([other, { leave }]) => {
        leave();
        watched.current.delete(other);
      });
      setPages((known) => known.slice(0, at));
    });
  }, [first, load, pages]);

  const all = useMemo(() => [...(first == null ? [] : [first]), ...pages], [first, pages]);
  // What moved up while later pages were read stands on two of them.
  const elements = useMemo(() => {
    const seen = new Set<string>();
    return all.flatMap(({ nodes }) => nodes).filter((element) => !seen.has(keyOf(element)) && seen.add(keyOf(element)));
  }, [all, keyOf]);

  const end = all.at(-1)?.pageInfo;
  const more = useCallback(() => {
    if (end?.hasNextPage === true && end.endCursor != null) load(pages.length, end.endCursor);
  }, [end, load, pages.length]);

  return {
    elements,
    total: all[0]?.totalCount ?? elements.length,
    isLoading: all.length === 0 && !failed,
    failed,
    /** Loads the next page, once; undefined when all are there. */
    more: end?.hasNextPage === true ? more : undefined,
  };
}
