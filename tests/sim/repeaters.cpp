#include "tests/sim/repeaters.hpp"

#include <algorithm>

#include "messages/once.hpp"

namespace dkv::sim {

namespace {

constexpr Duration kTry = 900ms;
constexpr std::uint64_t kFirstClient = 500'000;

bool is_final(const rpc::Reply& reply) {
  const auto* results = std::get_if<std::vector<OperationResult>>(&reply.body);
  if (results == nullptr) return false;
  // A refusal, or an outcome that is not known: of that attempt.
  constexpr Errc kOpen[] = {Errc::moved, Errc::unavailable, Errc::overloaded, Errc::disk_full,
                            Errc::unknown_outcome};
  return std::none_of(results->begin(), results->end(), [&](const OperationResult& result) {
    return std::find(std::begin(kOpen), std::end(kOpen), result.code) != std::end(kOpen);
  });
}

std::string text_of(const std::vector<OperationResult>& results) {
  std::string text;
  for (const OperationResult& result : results)
    text += (text.empty() ? "" : ", ") + std::string(name_of(result.code)) + " '" + result.value + "'";
  return text;
}

bool is_as_expected(const std::vector<OperationResult>& results,
                    const std::vector<OperationResult>& expected) {
  return std::equal(results.begin(), results.end(), expected.begin(), expected.end(),
                    [](const auto& a, const auto& b) { return a.code == b.code && a.value == b.value; });
}

OperationResult result_with(Errc code, std::string value = {}) {
  OperationResult result;
  result.code = code;
  result.value = std::move(value);
  return result;
}

}  // namespace

Repeaters::Repeaters(SimWorld& world, std::size_t count, std::uint64_t seed, TimePoint until,
                     const std::function<bool(ShardId)>& may_lose, std::function<void(std::string)> violated)
    : world_(world), random_(seed ^ 0x0ce), until_(until), violated_(std::move(violated)) {
  const Topology& topology = world_.topology();
  for (int i = 0; repeaters_.size() < count && i < 100; ++i) {
    Repeater repeater;
    repeater.name = "repeater " + std::to_string(i);
    repeater.key = std::string(kKeys) + std::to_string(i) + "}";
    repeater.shard = topology.slots[slot_of(repeater.key).value];
    repeater.guess = topology.find_shard(repeater.shard)->primary;
    if (may_lose(repeater.shard)) continue;
    repeaters_.push_back(std::move(repeater));
    act_later(repeaters_.size() - 1);
  }
}

void Repeaters::act_later(std::size_t index) {
  world_.at(world_.now() + random_.between(Duration{20ms}, Duration{250ms}), [this, index] { act(index); });
}

void Repeaters::act(std::size_t index) {
  if (world_.now() >= until_) return;
  if (random_.below(3) == 0) return read_somewhere(index);
  Repeater& repeater = repeaters_[index];
  choose_write(repeater);
  repeater.is_waiting = true;
  attempt(index);
  // Copies of it that were long on their way.
  for (std::uint64_t copies = random_.below(4); copies > 2; --copies) {
    world_.at(world_.now() + random_.between(Duration{1ms}, Duration{3s}),
              [this, index, copy = repeater.request] {
                world_.ask(repeaters_[index].guess, copy, [](const rpc::Reply&) {});
              });
  }
}

void Repeaters::add(rpc::Request& request, OpCode code, const std::string& key, std::int64_t amount) {
  const auto owner =
      std::make_shared<std::pair<std::string, std::shared_ptr<const void>>>(key, request.owner);
  request.operations.push_back({code, owner->first, code == OpCode::put ? "0" : "", false, {}, amount});
  request.owner = owner;
}

/// What it must come to is known: nobody else writes there.
void Repeaters::choose_write(Repeater& repeater) {
  rpc::Request& request = repeater.request;
  request = {};
  request.client_id = kFirstClient + static_cast<std::uint64_t>(&repeater - repeaters_.data());
  const std::uint64_t number = ++writes_;
  auto& expected = repeater.expected;
  expected.clear();
  const bool is_there = repeater.number.has_value();
  switch (random_.below(8)) {
    case 0:
      add(request, OpCode::remove, repeater.key, 0);
      expected.push_back(result_with(is_there ? Errc::ok : Errc::not_found));
      repeater.number.reset();
      break;
    case 1:
      add(request, OpCode::put, repeater.key, 0);
      request.operations[0].condition.kind = Condition::Kind::missing;
      expected.push_back(result_with(is_there ? Errc::condition_failed : Errc::ok));
      repeater.number = repeater.number.value_or(0);
      break;
    case 2:
    case 3:
      ++repeater.pair;
      for (const char* which : {"a", "b"}) {
        add(request, OpCode::increment, repeater.key + which, 1);
        expected.push_back(result_with(Errc::ok, std::to_string(repeater.pair)));
      }
      request.atomic = true;
      request.number = number;
      break;
    default:
      const auto amount = static_cast<std::int64_t>(random_.below(5)) - 1;
      add(request, OpCode::increment, repeater.key, amount);
      repeater.number = repeater.number.value_or(0) + amount;
      expected.push_back(result_with(Errc::ok, std::to_string(*repeater.number)));
  }
  if (!request.atomic) request.operations[0].number = number;
}

void Repeaters::attempt(std::size_t index) {
  Repeater& repeater = repeaters_[index];
  const std::uint64_t attempt = ++repeater.asked;
  rpc::Request request = repeater.request;
  request.request_id = attempt;
  request.session = std::make_shared<const Session>(repeater.session);
  world_.ask(repeater.guess, std::move(request),
             [this, index, attempt](const rpc::Reply& reply) { take(index, attempt, reply); });
  world_.at(world_.now() + kTry, [this, index, attempt] {
    Repeater& one = repeaters_[index];
    if (!one.is_waiting || one.asked != attempt) return;
    guess_again(one);
    ++repeated_;
    this->attempt(index);
  });
}

/// An answer to any attempt of this write counts; of the last one, a refusal too.
void Repeaters::take(std::size_t index, std::uint64_t attempt, const rpc::Reply& reply) {
  Repeater& repeater = repeaters_[index];
  if (!repeater.is_waiting || repeater.asked != attempt) return;
  if (is_final(reply)) {
    const auto& results = std::get<std::vector<OperationResult>>(reply.body);
    if (!is_as_expected(results, repeater.expected)) {
      violated_(repeater.name + ": its write, sent until it was answered, came to " + text_of(results) +
                " where once is " + text_of(repeater.expected));
      return;  // it knows no more what is there
    }
    if (reply.session) repeater.session.take(*reply.session);
    repeater.is_waiting = false;
    return act_later(index);
  }
  const OperationResult first = single_result(reply);
  if (first.code == Errc::moved) {
    repeater.guess = world_.topology().find_node(first.moved->node_name)->id;
  } else {
    guess_again(repeater);
  }
  ++repeated_;
  world_.at(world_.now() + random_.between(Duration{5ms}, Duration{60ms}), [this, index, attempt] {
    if (repeaters_[index].is_waiting && repeaters_[index].asked == attempt) this->attempt(index);
  });
}

/// At any member of its shard.
void Repeaters::read_somewhere(std::size_t index) {
  Repeater& repeater = repeaters_[index];
  const ShardInfo& shard = *world_.topology().find_shard(repeater.shard);
  const std::size_t place = random_.below(shard.replicas.size() + 1);
  const NodeId node = place == 0 ? shard.primary : shard.replicas[place - 1];
  rpc::Request request;
  add(request, OpCode::get, repeater.key, 0);
  add(request, OpCode::get, repeater.key + "b", 0);
  request.read = ReadMode::replica;
  request.session = std::make_shared<const Session>(repeater.session);
  const std::uint64_t asked = ++repeater.asked;
  world_.ask(node, std::move(request), [this, index, asked](const rpc::Reply& reply) {
    if (repeaters_[index].asked != asked) return;
    ++repeaters_[index].asked;
    take_read(index, reply);
    act_later(index);
  });
  world_.at(world_.now() + kTry, [this, index, asked] {
    if (repeaters_[index].asked != asked) return;
    ++repeaters_[index].asked;  // an answer that comes yet is too late
    act_later(index);
  });
}

void Repeaters::take_read(std::size_t index, const rpc::Reply& reply) {
  Repeater& repeater = repeaters_[index];
  if (!is_final(reply)) return;
  const auto& results = std::get<std::vector<OperationResult>>(reply.body);
  const auto of = [](std::optional<std::int64_t> number) {
    return number ? result_with(Errc::ok, std::to_string(*number)) : result_with(Errc::not_found);
  };
  const std::vector<OperationResult> expected = {
      of(repeater.number), of(repeater.pair == 0 ? std::nullopt : std::optional(repeater.pair))};
  if (!is_as_expected(results, expected)) {
    violated_(repeater.name + ": a copy shows its session, " + to_string(repeater.session) + ", " +
              text_of(results) + " where it has written " + text_of(expected));
  }
  if (reply.session) repeater.session.take(*reply.session);
  ++session_reads_;
}

void Repeaters::guess_again(Repeater& repeater) {
  const auto& nodes = world_.topology().nodes;
  repeater.guess = nodes[random_.below(nodes.size())].id;
}

void Repeaters::finish() {
  for (const Repeater& repeater : repeaters_) {
    if (repeater.is_waiting) violated_(repeater.name + ": its last write was never answered");
  }
}

}  // namespace dkv::sim
