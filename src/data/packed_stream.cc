#include "data/packed_stream.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "base/random.h"

namespace fathom {
namespace {

constexpr uint64_t kStride = 64;

// What random streams of an epoch are for.
enum Purpose : uint64_t { kDocumentOrder = 0, kMiddleCuts = 1 };

uint64_t EpochKey(uint64_t seed, uint64_t epoch, Purpose purpose) {
  return MixKey(MixKey(seed, 0x7061636b), 2 * epoch + purpose);
}

// Part of a document in the stream: one special token, or a range of the document's own.
struct Part {
  int32_t token = -1;
  uint64_t begin = 0;
  uint64_t count = 1;
};

}  // namespace

PackedStream::PackedStream(std::shared_ptr<const TokenStore> store, const PackingOptions& options,
                           uint64_t epoch)
    : store_(std::move(store)),
      options_(options),
      order_(store_->documents(), EpochKey(options.seed, epoch, kDocumentOrder)),
      cut_key_(EpochKey(options.seed, epoch, kMiddleCuts)),
      length_(Length(*store_, options)) {
  begins_.reserve(store_->documents() / kStride + 1);
  uint64_t position = 0;
  for (uint64_t place = 0; place < store_->documents(); ++place) {
    if (place % kStride == 0) begins_.push_back(position);
    position += PlaceLength(place);
  }
  FATHOM_CHECK(position == length_);
}

uint64_t PackedStream::Rearranged(const PackingOptions& options, uint64_t documents) {
  return static_cast<uint64_t>(static_cast<double>(documents) * options.fill_in_the_middle.rate);
}

bool PackedStream::IsRearranged(const PackingOptions& options, uint64_t place) {
  return Rearranged(options, place + 1) > Rearranged(options, place);
}

uint64_t PackedStream::Length(const TokenStore& store, const PackingOptions& options) {
  const uint64_t added = options.begin_token >= 0 ? 2 : 1;
  return store.tokens() + added * store.documents() + 3 * Rearranged(options, store.documents());
}

uint64_t PackedStream::PlaceLength(uint64_t place) const {
  return store_->DocumentTokens(order_(place)) + (options_.begin_token >= 0 ? 2 : 1) +
         (IsRearranged(options_, place) ? 3 : 0);
}

void PackedStream::Copy(uint64_t begin, uint64_t count, int32_t* tokens,
                        uint64_t* documents) const {
  FATHOM_CHECK(begin <= length_ && count <= length_ - begin);
  if (count == 0) return;
  const auto stride = std::upper_bound(begins_.begin(), begins_.end(), begin) - 1;
  auto place = static_cast<uint64_t>(stride - begins_.begin()) * kStride;
  uint64_t position = *stride;
  while (count > 0) {
    const uint64_t length = PlaceLength(place);
    if (begin < position + length) {
      const uint64_t taken = std::min(count, position + length - begin);
      CopyDocument(place, begin - position, taken, tokens);
      std::fill_n(documents, taken, place);
      tokens += taken;
      documents += taken;
      begin += taken;
      count -= taken;
    }
    position += length;
    ++place;
  }
}

void PackedStream::CopyDocument(uint64_t place, uint64_t begin, uint64_t count,
                                int32_t* tokens) const {
  const uint64_t document = order_(place);
  const uint64_t size = store_->DocumentTokens(document);
  std::array<Part, 8> parts;
  size_t used = 0;
  if (options_.begin_token >= 0) parts[used++] = {options_.begin_token};
  if (IsRearranged(options_, place)) {
    const FillInTheMiddle& middle = options_.fill_in_the_middle;
    RandomStream random(MixKey(cut_key_, document));
    uint64_t first = random.NextBelow(size + 1), second = random.NextBelow(size + 1);
    if (first > second) std::swap(first, second);
    parts[used++] = {middle.begin_token};
    parts[used++] = {-1, 0, first};
    parts[used++] = {middle.hole_token};
    parts[used++] = {-1, second, size - second};
    parts[used++] = {middle.end_token};
    parts[used++] = {-1, first, second - first};
  } else {
    parts[used++] = {-1, 0, size};
  }
  parts[used++] = {options_.end_token};

  uint64_t position = 0;
  for (size_t i = 0; i < used && count > 0; position += parts[i++].count) {
    const Part& part = parts[i];
    if (begin >= position + part.count) continue;
    const uint64_t skipped = begin - position;
    const uint64_t taken = std::min(count, part.count - skipped);
    if (part.token >= 0) {
      *tokens = part.token;
    } else {
      store_->Copy(document, part.begin + skipped, taken, tokens);
    }
    tokens += taken;
    begin += taken;
    count -= taken;
  }
}

}  // namespace fathom
