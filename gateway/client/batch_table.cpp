#include "gateway/client/batch_table.hpp"

#include <memory>

namespace dkv::client {

namespace {
// Ended batches that are kept for the next; and what one of them may keep of operations, keys and values.
constexpr std::size_t kMaxSpareBatches = 4096;
constexpr std::size_t kMaxSpareOperations = 64;
constexpr std::size_t kMaxSpareBytes = 8192;
}  // namespace

Batch& BatchTable::begin() {
  if (free_.empty()) {
    DKV_ASSERT(!is_full());
    free_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  Batch& batch = slots_[slot];
  batch.ticket = Ticket{++begun_ << kSlotBits | slot};
  batch.older = youngest_;
  batch.younger = nullptr;
  (youngest_ == nullptr ? oldest_ : youngest_->younger) = &batch;
  youngest_ = &batch;
  return batch;
}

void BatchTable::end(Batch& batch) {
  (batch.older == nullptr ? oldest_ : batch.older->younger) = batch.younger;
  (batch.younger == nullptr ? youngest_ : batch.younger->older) = batch.older;
  const std::size_t slot = slot_of(batch.ticket);
  batch.ticket = {};
  batch.session.reset();
  const bool is_large =
      batch.order.capacity() > kMaxSpareOperations || batch.storage.capacity() > kMaxSpareBytes;
  if (is_large) {
    // Not assigned: a string that takes over an empty one keeps its memory.
    std::destroy_at(&batch);
    std::construct_at(&batch);
  }
  free_.push_back(static_cast<std::uint32_t>(slot));
  if (empty() && slots_.size() > kMaxSpareBatches) {
    slots_.clear();
    free_.clear();
  }
}

Batch* BatchTable::find(Ticket ticket) { return contains(ticket) ? &slots_[slot_of(ticket)] : nullptr; }

bool BatchTable::contains(Ticket ticket) const {
  const std::size_t slot = slot_of(ticket);
  return ticket.value != 0 && slot < slots_.size() && slots_[slot].ticket == ticket;
}

}  // namespace dkv::client
