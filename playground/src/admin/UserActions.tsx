import { BlockDocument, type CreditBlockScope, GrantDocument, UnblockDocument, UnlockDocument, VerifyNowDocument } from '../gql/graphql';
import type { Tell } from '../shared/Announcer';
import { Panel } from '../shared/Parts';
import { count, credits, idempotencyKey } from '../shared/words';
import { useConfirm } from './Dialog';
import { Field, Form, textOf } from './Form';
import { useAction } from './useAction';

export interface UserActionsProps {
  id: string;
  /** What the user is called. */
  name: string;
  blocks: readonly { number: number; scope: CreditBlockScope; reason: string }[];
  tell: Tell;
  /** Called when something has changed. */
  onDone: () => void;
}

/** What an operator does for, or to, one user. */
export function UserActions({ id, name, blocks, tell, onDone }: UserActionsProps) {
  const { act, busy } = useAction(tell);
  const { confirm, dialog } = useConfirm();
  const user = { id };
  const done = (data: object | undefined) => {
    if (data !== undefined) onDone();
    return data !== undefined;
  };
  const fresh = () => ({ user, idempotencyKey: idempotencyKey() });

  const grant = async (values: FormData) => done(await act(
    GrantDocument,
    { input: { ...fresh(), amount: { credits: textOf(values, 'amount') }, reason: textOf(values, 'reason') || null } },
    ({ grantCredits }) => `Granted ${credits(grantCredits?.granted.credits ?? '0')} credits.`,
  ));
  const block = async (values: FormData) => {
    const scope = textOf(values, 'scope') as CreditBlockScope;
    const text = `${name} keeps what is there, and is kept from ${BLOCKED[scope]} until you lift the block.`;
    if (!(await confirm({ title: `Block ${name}?`, action: 'Block', text }))) return false;
    return done(await act(BlockDocument, { input: { ...fresh(), scope, reason: textOf(values, 'reason') } }, () => 'Blocked.'));
  };
  const lift = async (number: number) => done(await act(UnblockDocument, { input: { ...fresh(), blocks: { number } } }, () => 'The block is lifted.'));
  const unlock = async (values: FormData) => done(await act(
    UnlockDocument,
    { input: { ...fresh(), unlocks: [{ achievementId: textOf(values, 'achievement'), hardcore: values.has('hardcore') }] } },
    ({ unlockAchievements }) => (unlockAchievements?.results[0]?.status === 'UNCHANGED' ? 'It was unlocked already.' : 'Unlocked.'),
  ));
  const verify = async () => done(await act(VerifyNowDocument, { input: { user } }, ({ verify: found }) => verdict(found)));

  return (
    <Panel title="Actions">
      <div className="actions">
        <Form title="Grant credits" action="Grant" busy={busy} onSubmit={grant}>
          <Field label="Amount" name="amount" inputMode="decimal" required placeholder="12.5" />
          <Field label="Reason" name="reason" placeholder="Community prize" />
        </Form>
        <Form title="Block" action="Block…" busy={busy} onSubmit={block} isDangerous>
          <label className="field">From
            <select name="scope">{Object.entries(BLOCKED).map(([scope, label]) => <option key={scope} value={scope}>{label}</option>)}</select>
          </label>
          <Field label="Reason" name="reason" required placeholder="Disputed purchase" />
        </Form>
        <Form title="Unlock an achievement" action="Unlock" busy={busy} onSubmit={unlock}>
          <Field label="Achievement" name="achievement" required placeholder="14402-01" />
          <label className="check"><input type="checkbox" name="hardcore" /> in hardcore mode</label>
        </Form>
        <Form title="Check the numbers" action="Verify" busy={busy} onSubmit={verify}>
          <p className="soft">Recomputes every number of this user from its source.</p>
        </Form>
      </div>
      {blocks.length > 0 && (
        <ul className="rows">
          {blocks.map(({ number, scope, reason }) => (
            <li key={number}><span>{blockText({ scope, reason })}</span><button type="button" className="button" disabled={busy} onClick={() => void lift(number)}>Lift<span className="hidden"> the block {reason}</span></button></li>
          ))}
        </ul>
      )}
      {dialog}
    </Panel>
  );
}

/** What a block keeps a user from. */
const BLOCKED: Record<CreditBlockScope, string> = { CLAIM: 'claiming', SPEND: 'spending', ALL: 'claiming and spending' };

/** What is blocked, and why: `Claiming is blocked: a disputed purchase`. */
export function blockText({ scope, reason }: { scope: CreditBlockScope; reason: string }): string {
  const what = BLOCKED[scope];
  return `${what.charAt(0).toUpperCase()}${what.slice(1)} ${scope === 'ALL' ? 'are' : 'is'} blocked: ${reason}`;
}

interface Found { differenceCount: number; usersChecked: number; differences: readonly { check: string; what: string; stored: string; expected: string }[] }

function verdict(found: Found | null | undefined): string {
  if (found == null) return 'Nothing was checked.';
  const [first] = found.differences;
  if (first === undefined) return `${count(found.usersChecked, 'user')} checked, no difference.`;
  return `${count(found.differenceCount, 'difference')}: ${first.check}, ${first.what} is ${first.stored} and should be ${first.expected}.`;
}
