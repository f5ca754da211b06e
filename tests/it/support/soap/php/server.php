<?php
// An order service on PHP's ext-soap, rpc/encoded; `php -S` runs this for every request.
// What was created is kept in the file that $ORDERS_STATE names. /plain checks nothing; /secured wants a UsernameToken.

class OrderService
{
    private function state(callable $change): mixed
    {
        $file = fopen(getenv('ORDERS_STATE'), 'c+');
        flock($file, LOCK_EX);
        $state = json_decode(stream_get_contents($file) ?: '{}', true);
        $answer = $change($state);
        ftruncate($file, 0);
        rewind($file);
        fwrite($file, json_encode($state));
        fclose($file);
        return $answer;
    }

    private function order(int $number, string $reference, ?string $customer, string $amount, array $lines): array
    {
        return ['number' => $number, 'reference' => $reference, 'customer' => $customer, 'amount' => $amount,
            'paid' => $number % 2 == 0, 'lines' => $lines];
    }

    private function seeded(int $number): array
    {
        $lines = [];
        for ($line = 1; $line <= $number % 3; $line++) {
            $lines[] = ['sku' => "A-$number-$line", 'quantity' => $line];
        }
        $customer = $number % 5 == 0 ? null : "Müller & Söhne <$number>";
        return $this->order($number, "REF-$number", $customer, '12345678901234567.8' . $number, $lines);
    }

    private function missing(string $wanted): SoapFault
    {
        return new SoapFault('Client', "There is no order $wanted", null, ['wanted' => $wanted], 'NotFound');
    }

    public function getOrder($number)
    {
        if ($number >= 1 && $number <= 12) {
            return $this->seeded($number);
        }
        $created = $this->state(fn (&$state) => array_search($number, array_column($state, 'number', 'reference')) ?: null);
        return $created === null ? throw $this->missing((string) $number) : $this->findByReference($created);
    }

    public function findByReference($reference)
    {
        if (preg_match('/^REF-([1-9]|1[0-2])$/', $reference, $found)) {
            return $this->seeded((int) $found[1]);
        }
        $order = $this->state(fn (&$state) => $state[$reference] ?? null);
        return $order ?? throw $this->missing($reference);
    }

    public function listOrders($offset, $limit)
    {
        $orders = [];
        for ($number = $offset + 1; $number <= 12 && count($orders) < $limit; $number++) {
            $orders[] = $this->seeded($number);
        }
        return $orders;
    }

    public function createOrder($reference, $customer, $amount, $lines)
    {
        return $this->state(function (&$state) use ($reference, $customer, $amount, $lines) {
            $lines = array_map(fn ($line) => (array) $line, (array) $lines);
            $state[$reference] ??= $this->order(13 + count($state), $reference, $customer, $amount, $lines);
            return $state[$reference]['number'];
        });
    }

    public function slow($millis)
    {
        usleep($millis * 1000);
        return $millis;
    }

    public function properties()
    {
        return ['currency' => 'EUR', 'decimals' => 2, 'open' => true, 'nothing' => null, 'nested' => ['a' => 'b']];
    }

    // The same object in two places: ext-soap writes it once, and refers to it.
    public function twins()
    {
        $order = (object) $this->seeded(1);
        return [$order, $order];
    }

    // The header of WS-Security: its element's name is the name of this.
    public function Security($security)
    {
        $token = $security->UsernameToken ?? null;
        if (($token->Username ?? null) !== 'svc' || ($token->Password ?? null) !== 's3cret & <safe>') {
            throw new SoapFault(['http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd',
                'FailedAuthentication'], 'The password is wrong');
        }
    }
}

ini_set('soap.wsdl_cache_enabled', '0');
ini_set('precision', '17');
$path = trim(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH), '/');
$server = new SoapServer(__DIR__ . '/orders.wsdl', ['features' => SOAP_SINGLE_ELEMENT_ARRAYS, 'encoding' => 'UTF-8']);
$server->setObject(new OrderService());
if ($_SERVER['REQUEST_METHOD'] === 'POST' && $path === 'secured' && !str_contains(file_get_contents('php://input'), 'UsernameToken')) {
    $server->fault('Client', 'A UsernameToken is wanted');
    return;
}
$server->handle();
