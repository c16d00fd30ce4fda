/** Property tests: fast-check, and from where it draws. Tests import it from here. */
import fc from 'fast-check';

// The same cases each time: what is drawn anew may be red for who changed nothing. A long run (`scripts/test long`) looks further, and a failure of
// it names its seed.
if (!process.env.NATTER_TEST_LONG) fc.configureGlobal({ seed: 20_261_126 });

export default fc;
