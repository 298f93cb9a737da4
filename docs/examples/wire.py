import attrs

from trioworkers import BusDataMessage, CodecError, MessageCodec, wire_tag


@attrs.frozen
class Place:
    name: str
    height: float | None = None


@wire_tag("garden.weather")
@attrs.define
class Weather(BusDataMessage):
    sky: str
    places: tuple[Place, ...] = ()


codec = MessageCodec()
message = Weather("rain", (Place("pond", 1.5),), source="station")
data = codec.encode(message)
print(data.decode())
assert codec.decode(data) == message

for wrong in (
    data.replace(b"1.5", b'"high"'),
    data.replace(b'"sky"', b'"ground"'),
    data.replace(b"garden", b"desert"),
):
    try:
        codec.decode(wrong)
    except CodecError as error:
        print(error)

try:
    codec.encode(Weather("rain", [Place("pond")], source="station"))
except CodecError as error:
    print(error)
# Output:
# {"$":"garden.weather","source":"station","sky":"rain","places":[{"name":"pond","height":1.5}]}
# can't decode 'garden.weather': places[0].height: expected float or None, got 'high'
# can't decode 'garden.weather': ground: unknown field
# can't decode 'desert.weather': unknown wire tag; import the module that defines its class
# can't encode Weather: places: expected tuple, got list
