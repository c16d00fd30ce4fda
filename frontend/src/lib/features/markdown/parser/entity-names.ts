/** Names of common HTML entities, for tests and tools. Browsers use `entity-names.browser.ts`, because the table would delay the first page. */
import { lazily } from '#lib/util/lazy.ts';

/** Names, each followed by its character. */
const NAMED = `
  nbsp\u00a0ensp\u2002emsp\u2003thinsp\u2009zwnj\u200czwj\u200dlrm\u200erlm\u200fshy\u00adTab\tNewLine\n
  amp&lt<gt>quot"apos'num#dollar$percnt%ast*plus+equals=comma,period.colon:semi;excl!quest?commat@sol/bsol\\vert|verbar|grave\`
  hyphen‐dash‐lpar(rpar)lbrack[rbrack]lbrace{rbrace}lsqb[rsqb]lcub{rcub}
  iexcl¡cent¢pound£curren¤yen¥euro€brvbar¦sect§uml¨copy©reg®trade™copysr℗ordfªordmºlaquo«raquo»not¬macr¯deg°plusmn±sup1¹sup2²sup3³
  acute´microµpara¶middot·cedil¸frac14¼frac12½half½frac34¾iquest¿times×divide÷
  AEligÆaeligæOEligŒoeligœETHÐethðOslashØoslashøTHORNÞthornþszligßLstrokŁlstrokłDstrokĐdstrokđinodotıfnofƒcircˆtilde˜
  ndash–mdash—lsquo‘rsquo’sbquo‚ldquo“rdquo”bdquo„dagger†Dagger‡bull•hellip…permil‰prime′Prime″lsaquo‹rsaquo›oline‾frasl⁄imageℑ
  weierp℘realℜalefsymℵnumero№
  larr←uarr↑rarr→darr↓harr↔varr↕crarr↵lArr⇐uArr⇑rArr⇒dArr⇓hArr⇔nearr↗searr↘swarr↙nwarr↖map↦rightarrow→leftarrow←Rightarrow⇒Leftarrow⇐odot⊙xcirc◯
  forall∀part∂exist∃empty∅emptyset∅nabla∇isin∈notin∉ni∋prod∏sum∑minus−lowast∗radic√prop∝infin∞ang∠and∧or∨cap∩cup∪int∫there4∴
  therefore∴because∵sim∼cong≅asymp≈approx≈ne≠equiv≡le≤leq≤ge≥geq≥ll≪gg≫pm±mp∓
  sub⊂sup⊃nsub⊄sube⊆supe⊇oplus⊕otimes⊗perp⊥sdot⋅lceil⌈rceil⌉lfloor⌊rfloor⌋lang⟨rang⟩ellℓhbarℏiff⇔setminus∖
  loz◊spades♠clubs♣hearts♥diams♦check✓cross✗star☆starf★phone☎squ□square□female♀male♂sung♪flat♭natural♮sharp♯`;
/** Greek letters in the order of their code points. The capital ones are 32 before. */
const GREEK =
  'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf sigma tau upsilon phi chi psi omega';
const ALPHA = 945;
/** Names of diacritics, each followed by the combining character. */
const ACCENTS =
  'grave\u0300acute\u0301circ\u0302tilde\u0303macr\u0304breve\u0306dot\u0307uml\u0308ring\u030adblac\u030bcaron\u030ccedil\u0327ogon\u0328';

const entriesOf = (pairs: string) =>
  [...pairs.matchAll(/(\w+)(\W)/g)].map(([, name = '', sign = '']) => [name, sign] as const);
const accents = lazily(() => new Map(entriesOf(ACCENTS)));
const entities = lazily(() => {
  const known = new Map(entriesOf(NAMED));
  for (const [at, name] of GREEK.split(' ').entries()) {
    known.set(name, String.fromCodePoint(ALPHA + at));
    if (name !== 'sigmaf')
      known.set(
        name.replace(/^./, (first) => first.toUpperCase()),
        String.fromCodePoint(ALPHA - 32 + at)
      );
  }
  return known;
});

export function characterOf(name: string): string | undefined {
  return entities().get(name) ?? accented(name);
}

/** Letter with a diacritic, such as `eacute`; undefined if there is none. */
function accented(name: string): string | undefined {
  const letter = (name[0] + (accents().get(name.slice(1)) ?? '')).normalize('NFC');
  return name.length > 2 && letter.length === 1 && letter !== name[0] ? letter : undefined;
}
