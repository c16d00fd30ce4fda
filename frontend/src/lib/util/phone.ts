/**
 * Where one column is shown at a time: on a phone, upright or held sideways. A finger tells a phone from a low window, and the width from a tablet
 * whose keyboard takes half of the screen. Media queries can't be given names, so all styles repeat it (`phone.test.ts`).
 */
export const PHONE = '(max-width: 760px), (max-width: 1000px) and (max-height: 500px) and (pointer: coarse)';
