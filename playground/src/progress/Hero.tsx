import { useMutation } from 'urql';

import { type FragmentType, read } from '../gql/fragment-masking';
import { HeroPartFragmentDoc, type ProfileVisibility, SetVisibilityDocument } from '../gql/graphql';
import { messageOf } from '../shared/errors';
import type { LiveStatus } from '../shared/live';
import { ROOT } from '../shared/root';
import { Picture } from '../kit';
import { day } from '../shared/time';
import { hueOf, idempotencyKey, initials } from '../shared/words';
import type { Acting } from './acting';

const STATUS: Record<LiveStatus, { label: string; title: string }> = {
  connecting: { label: 'Connecting', title: 'The page is about to follow changes' },
  live: { label: 'Live', title: 'Changes appear at once' },
  polling: { label: 'Up to date', title: 'The page asks for changes now and then' },
  still: { label: 'Snapshot', title: 'What is here now; changes appear when you come back to the page' },
  offline: { label: 'Reconnecting', title: 'The server cannot be reached; the page tries again' },
};

export interface HeroProps {
  user: FragmentType<typeof HeroPartFragmentDoc>;
  status: LiveStatus;
  acting: Acting;
}

/** Whose progress it is. */
export function Hero({ user, status, acting }: HeroProps) {
  const { id, handle, displayName, avatarUrl, createdAt, profileVisibility } = read(HeroPartFragmentDoc, user);
  return (
    <header className="hero">
      <Picture address={avatarUrl} className="portrait"><Portrait name={displayName} /></Picture>
      <div className="hero-names">
        <h1>{displayName}</h1>
        <p>@{handle} · since {day(createdAt)}</p>
      </div>
      <div className="hero-side">
        <p className={`live live-${status}`} role="status" title={STATUS[status].title}><i aria-hidden="true" />{STATUS[status].label}</p>
        {acting.mayAct ? <Visibility id={id} now={profileVisibility} acting={acting} /> : <p className="tag">{VISIBILITY[profileVisibility].tag}</p>}
        {profileVisibility === 'PUBLIC' && <a className="button" href={`${ROOT}u/${handle}/card.svg`}>Share card</a>}
      </div>
    </header>
  );
}

/** Letters on a colour of the name's own. */
function Portrait({ name }: { name: string }) {
  const hue = hueOf(name);
  return (
    <svg className="portrait" viewBox="0 0 72 72" width="72" height="72" aria-hidden="true">
      <rect width="72" height="72" fill={`hsl(${hue} 45% 38%)`} />
      <path d="M0 50C18 34 50 70 72 44V72H0z" fill={`hsl(${(hue + 40) % 360} 50% 46%)`} opacity=".8" />
      <text x="36" y="37" textAnchor="middle" dominantBaseline="central" fill="#fff">{initials(name)}</text>
    </svg>
  );
}

/** Who sees a profile: how that is chosen, shown, and told when it has changed. */
const VISIBILITY: Record<ProfileVisibility, { label: (isOwn: boolean) => string; tag: string; told: (whose: string) => string }> = {
  PUBLIC: { label: () => 'Anyone', tag: 'Public profile', told: (whose) => `${whose} games and collections are public now.` },
  MEMBERS: { label: () => 'Members', tag: 'Profile for members', told: (whose) => `${whose} games and collections are shown to members now.` },
  PRIVATE: { label: (isOwn) => (isOwn ? 'Only me and apps' : 'Only the user and apps'), tag: 'Private profile', told: (whose) => `${whose} profile is private now.` },
};

/** What tells of a change of who sees the profile, for the owner or for those who act for them. */
export function visibilityTold(visibility: ProfileVisibility, { isOwn, name }: Pick<Acting, 'isOwn' | 'name'>): string {
  return VISIBILITY[visibility].told(isOwn ? 'Your' : `${name}’s`);
}

function Visibility({ id, now, acting }: { id: string; now: ProfileVisibility; acting: Acting }) {
  const [{ fetching }, set] = useMutation(SetVisibilityDocument);
  const choose = async (visibility: ProfileVisibility) => {
    const { data, error } = await set({ input: { user: { id }, visibility, idempotencyKey: idempotencyKey() } });
    const refused = error ? messageOf(error) : data?.setProfileVisibility?.userErrors[0]?.message;
    acting.tell(refused ?? visibilityTold(visibility, acting), refused !== undefined);
  };
  return (
    <label className="visibility">Seen by
      <select value={now} disabled={fetching} onChange={({ target }) => void choose(target.value as ProfileVisibility)}>
        {Object.entries(VISIBILITY).map(([value, { label }]) => <option key={value} value={value}>{label(acting.isOwn)}</option>)}
      </select>
    </label>
  );
}
