import { useEffect, useState } from 'react';

export const TABS = ['Users', 'Seasons', 'Keys', 'Catalogue', 'Audit log'] as const;
export type Tab = (typeof TABS)[number];

/** Where on the page one is: what its address says behind the question mark. */
export interface Place {
  readonly tab: Tab;
  /** The id of the user who is looked at. */
  readonly user?: string | undefined;
}

/** The place that the end of an address names; the first one where it names none. */
export function placeOf(search: string): Place {
  const asked = new URLSearchParams(search);
  const tab = TABS.find((one) => slug(one) === asked.get('tab')) ?? 'Users';
  const user = asked.get('user');
  return tab === 'Users' && user ? { tab, user } : { tab };
}

/** The end of the address of a place. */
export function addressOf({ tab, user }: Place): string {
  const parts = new URLSearchParams({ tab: slug(tab), ...(user === undefined ? {} : { user }) });
  return `?${parts.toString().replaceAll('%3A', ':')}`;
}

/** The place, which follows the address, and a way to go elsewhere, which the browser's history remembers. */
export function useAddress(): [Place, (place: Place) => void] {
  const [place, setPlace] = useState(() => placeOf(location.search));
  useEffect(() => {
    const follow = () => setPlace(placeOf(location.search));
    addEventListener('popstate', follow);
    return () => removeEventListener('popstate', follow);
  }, []);
  const go = (next: Place) => {
    history.pushState(null, '', addressOf(next));
    setPlace(next);
  };
  return [place, go];
}

function slug(tab: Tab): string {
  return tab.toLowerCase().replace(' ', '-');
}
