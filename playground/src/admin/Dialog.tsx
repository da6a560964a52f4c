import { type ReactNode, useEffect, useId, useRef, useState } from 'react';

export interface DialogProps {
  /** A question. */
  title: string;
  children: ReactNode;
  /** What the button says that does it. */
  action: string;
  isDangerous?: boolean;
  onConfirm: () => void;
  onCancel: () => void;
}

/** A question that is asked before something is done. */
export function Dialog({ title, children, action, isDangerous = false, onConfirm, onCancel }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="impact" aria-labelledby={heading} onCancel={onCancel}>
      <h2 id={heading}>{title}</h2>
      {children}
      <p className="buttons">
        <button type="button" className="button" onClick={onCancel}>Leave it as it is</button>
        <button type="button" className={isDangerous ? 'button danger' : 'button primary'} onClick={onConfirm}>{action}</button>
      </p>
    </dialog>
  );
}

type Question = Pick<DialogProps, 'title' | 'action'> & { text: string };

/** Asks before something is taken away: `confirm` resolves to whether it is to be done; `dialog` belongs on the page. */
export function useConfirm() {
  const [asked, setAsked] = useState<Question & { answer: (isWanted: boolean) => void }>();
  const confirm = (question: Question) => new Promise<boolean>((answer) => setAsked({ ...question, answer }));
  const settle = (isWanted: boolean) => {
    asked?.answer(isWanted);
    setAsked(undefined);
  };
  const dialog = asked !== undefined && (
    <Dialog title={asked.title} action={asked.action} isDangerous onConfirm={() => settle(true)} onCancel={() => settle(false)}>
      <p>{asked.text}</p>
    </Dialog>
  );
  return { confirm, dialog };
}
