// How the system's scheduler treats the calling thread.
#pragma once

namespace dkv::runtime {

/// Asks for the shortest time slices there are: for a thread that mostly waits, and that others wait for. Its
/// share of a processor stays what it is, but when it is woken it comes before threads that have asked for
/// nothing, instead of when their slices are over. Linux does so from 6.12 on (EEVDF); earlier kernels take
/// no notice.
void ask_for_short_slices();

}  // namespace dkv::runtime
