#include "actors/shard/checkpoint_actor.hpp"

namespace dkv {

void CheckpointActor::handle(const WriteCheckpoint& message, Effects& out) {
  if (auto written = store_->write(*message.memtable, message.applied); !written) {
    out.log(LogLevel::error, written.error().message);
    return out.send(member_, CheckpointFailed{written.error()});
  }
  out.send(member_, CheckpointWritten{message.applied});
}

void CheckpointActor::handle(const BeginImport& message, Effects& out) {
  if (auto begun = store_->begin_import(message.at); !begun) {
    out.log(LogLevel::error, begun.error().message);
    return out.send(member_, ImportFailed{begun.error()});
  }
  out.send(member_, ImportBegun{message.at});
}

void CheckpointActor::handle(const ImportRecords& message, Effects& out) {
  const auto imported = [&]() -> Result<void> {
    const auto records = decode_records(message.records);
    if (!records) return records.error();
    return store_->import(*records, message.next_key, message.at);
  }();
  if (!imported) {
    out.log(LogLevel::error, imported.error().message);
    return out.send(member_, ImportFailed{imported.error()});
  }
  out.send(member_, RecordsImported{store_->importing()});
}

}  // namespace dkv
