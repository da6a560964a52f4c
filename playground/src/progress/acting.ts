import type { Tell } from '../shared/Announcer';

/** Who acts on the page of a user. */
export interface Acting {
  /** Whether the visitor may change what is here. */
  readonly mayAct: boolean;
  /** Whether the visitor is the user whose page it is; else an app or operator acts for them. */
  readonly isOwn: boolean;
  /** What the user is called. */
  readonly name: string;
  readonly tell: Tell;
}
