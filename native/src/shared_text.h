// See shared_text.cc.

#ifndef RUNSC_NATIVE_SHARED_TEXT_H_
#define RUNSC_NATIVE_SHARED_TEXT_H_

namespace runsc {

// Replaces the bundle's text in this process's heap by pages of the executable. Once is enough:
// what is forked inherits them.
void ShareText();

}  // namespace runsc

#endif  // RUNSC_NATIVE_SHARED_TEXT_H_
