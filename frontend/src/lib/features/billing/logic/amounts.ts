/** Formats and parses amounts of money. */
import { regionalLocale } from '#lib/i18n/dates.ts';
import type { Plan, Price } from '../api.ts';

/** Formats an amount in minor units: “€11.00”, “290.000 ₫”, “¥1,500”. VND and JPY have no minor unit. */
export function formatMoney({ amount, currency }: Price, locale = regionalLocale()): string {
  const format = new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: 'narrowSymbol' });
  return format.format(amount / 10 ** digitsOf(format));
}

/** Formats a price and omits empty decimals: “€11”, “€11.50”. */
export function formatPrice({ amount, currency }: Price, locale = regionalLocale()): string {
  const options = { style: 'currency', currency, currencyDisplay: 'narrowSymbol' } as const;
  const digits = digitsOf(new Intl.NumberFormat(locale, options));
  const isWhole = amount % 10 ** digits === 0;
  return new Intl.NumberFormat(locale, isWhole ? { ...options, minimumFractionDigits: 0 } : options).format(
    amount / 10 ** digits
  );
}

function digitsOf(format: Intl.NumberFormat): number {
  return format.resolvedOptions().maximumFractionDigits ?? 2;
}

/** Number of decimals of a currency; 0 for VND and JPY. */
export function decimalsOf(currency: string): number {
  return digitsOf(new Intl.NumberFormat('en', { style: 'currency', currency }));
}

/** Parses an amount into minor units; null if it is invalid. */
export function parseMinorUnits(text: string, currency: string): number | null {
  const decimals = decimalsOf(currency);
  // In a currency without decimals, separators can only group thousands.
  const plain = decimals === 0 ? text.replace(/(?<=\d)[., \u00a0](?=\d{3})/g, '') : text.replace(',', '.');
  const found = /^(\d{1,12})(?:\.(\d+))?$/.exec(plain.trim());
  const [, whole = '', rest = ''] = found ?? [];
  if (!found || rest.length > decimals) return null;
  return Number(whole + rest.padEnd(decimals, '0'));
}

/** Formats an amount for an input field: without separators and currency. */
export function editablePrice({ amount, currency }: Price): string {
  const decimals = decimalsOf(currency);
  return (amount / 10 ** decimals).toFixed(decimals);
}

/** Currencies that the app offers. */
export const CURRENCIES = 'USD EUR GBP JPY VND KRW AUD CAD SGD'.split(' ');

const CURRENCY_OF: Record<string, string> = {
  AU: 'AUD',
  CA: 'CAD',
  GB: 'GBP',
  JP: 'JPY',
  KR: 'KRW',
  SG: 'SGD',
  US: 'USD',
  VN: 'VND'
};
const EURO = new Set('AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MT NL PT SI SK'.split(' '));

/** Currency of the reader's region; undefined if unknown. */
export function localCurrency(languages: readonly string[] = navigator.languages): string | undefined {
  for (const language of languages) {
    const region = regionOf(language);
    const currency = region === undefined ? undefined : EURO.has(region) ? 'EUR' : CURRENCY_OF[region];
    if (currency) return currency;
  }
  return undefined;
}

/** Region of a language tag. For a tag without a region, the most likely one. */
function regionOf(language: string): string | undefined {
  try {
    return new Intl.Locale(language).maximize().region;
  } catch {
    return undefined;
  }
}

/** Currencies of the offered plans, without duplicates. */
export function currenciesOf(plans: readonly Plan[]): string[] {
  return [...new Set(plans.flatMap(({ prices }) => prices.map(({ currency }) => currency)))];
}

/** Price of a plan in the given currency, or else its first price. */
export function priceIn({ prices }: Pick<Plan, 'prices'>, currency: string | undefined): Price | undefined {
  return prices.find((price) => price.currency === currency) ?? prices[0];
}
