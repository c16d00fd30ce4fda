/** Redirects the browser to the payment page of a gateway. */
export function openPaymentPage(address: string): void {
  const target = new URL(address, location.href);
  if (target.protocol !== 'https:' && target.protocol !== 'http:') throw new Error('not a web address');
  location.assign(target);
}
