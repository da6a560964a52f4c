import { type FragmentType, read } from '../gql/fragment-masking';
import { CreditBadgeFragmentDoc } from '../gql/graphql';
import { duration } from '../shared/time';
import { credits } from '../shared/words';

export interface CreditBadgeProps {
  account: FragmentType<typeof CreditBadgeFragmentDoc>;
}

/** What can be spent now, with a word of warning before some of it expires. */
export function CreditBadge({ account }: CreditBadgeProps) {
  const { available, expiresIn, isBlockedForClaiming, isBlockedForSpending } = read(CreditBadgeFragmentDoc, account);
  const isBlocked = isBlockedForClaiming || isBlockedForSpending;
  return (
    <p className="credit-badge">
      <svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true">
        <circle cx="12" cy="12" r="10.5" />
        <path d="M12 5.5l6 6.5-6 6.5L6 12z" />
      </svg>
      <span>
        <strong className="credit-amount">{credits(available.credits)}</strong> {available.credits === '1' ? 'credit' : 'credits'}
        {expiresIn != null && <span className="credit-expiry">next expiry in {duration(expiresIn)}</span>}
        {isBlocked && <span className="credit-blocked">{blocked(isBlockedForClaiming, isBlockedForSpending)}</span>}
      </span>
    </p>
  );
}

function blocked(claiming: boolean, spending: boolean): string {
  if (claiming && spending) return 'Claiming and spending are blocked';
  return claiming ? 'Claiming is blocked' : 'Spending is blocked';
}
